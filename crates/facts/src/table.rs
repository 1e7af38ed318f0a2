//! Facts as numbers: all of a file of facts that decides what is trained.

use std::fmt;
use std::str::FromStr;

use crate::Token;

/// The facts of a file, each entity and relation a number counted from 0.
///
/// Its text stands in a resolved spec: the digest, a letter for each relation (`s` for a symmetric
/// one), then `subject.relation.object` of each fact, followed by `b`, `f` or `r` (both directions,
/// the forward or the reverse one trained), `g` with its group, and `w` with its weight.
#[derive(Debug, Clone, PartialEq)]
pub struct FactTable {
    /// The SHA-256 of the file, in hexadecimal digits.
    pub digest: String,
    /// For each relation whether it is its own inverse.
    pub symmetric: Vec<bool>,
    /// The facts.
    pub facts: Vec<TableFact>,
}

/// A fact of a [`FactTable`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TableFact {
    /// The entity that a forward question is about.
    pub subject: u32,
    /// The relation.
    pub relation: u32,
    /// The answer of a forward question.
    pub object: u32,
    /// Whether the forward and the reverse direction are trained; `None` where that is drawn.
    pub trained: Option<[bool; 2]>,
    /// Facts of one group are drawn together.
    pub group: Option<u32>,
    /// The weight of its sentences.
    pub weight: f64,
}

impl FactTable {
    /// The number of entities.
    pub fn entities(&self) -> usize {
        let largest = self.facts.iter().map(|fact| fact.subject.max(fact.object)).max();
        largest.map_or(0, |entity| entity as usize + 1)
    }

    /// The token of a relation's forward direction and of its inverse.
    pub(crate) fn relation(&self, relation: u32) -> [Token; 2] {
        let symmetric = self.symmetric.get(relation as usize).copied().unwrap_or(false);
        [2 * relation, 2 * relation + Token::from(!symmetric)]
    }
}

impl fmt::Display for FactTable {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{} ", self.digest)?;
        for &symmetric in &self.symmetric {
            out.write_str(if symmetric { "s" } else { "p" })?;
        }
        for fact in &self.facts {
            write!(out, " {}.{}.{}", fact.subject, fact.relation, fact.object)?;
            match fact.trained {
                None => {}
                Some([true, true]) => out.write_str("b")?,
                Some([true, false]) => out.write_str("f")?,
                Some([false, _]) => out.write_str("r")?,
            }
            if let Some(group) = fact.group {
                write!(out, "g{group}")?;
            }
            if fact.weight != 1.0 {
                write!(out, "w{}", fact.weight)?;
            }
        }
        Ok(())
    }
}

impl FromStr for FactTable {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split(' ');
        let digest = words.next().ok_or(())?.to_owned();
        if digest.len() != 64 || !digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(());
        }
        let symmetric = words.next().ok_or(())?.bytes().map(|letter| match letter {
            b'p' => Ok(false),
            b's' => Ok(true),
            _ => Err(()),
        });
        let symmetric: Vec<bool> = symmetric.collect::<Result<_, _>>()?;
        let facts: Vec<TableFact> = words.map(fact).collect::<Result<_, _>>()?;
        let known = |fact: &TableFact| (fact.relation as usize) < symmetric.len();
        match !facts.is_empty() && facts.iter().all(known) {
            true => Ok(Self { digest, symmetric, facts }),
            false => Err(()),
        }
    }
}

fn fact(text: &str) -> Result<TableFact, ()> {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (numbers, mut rest) = text.split_at(at);
    let mut numbers = numbers.split('.').map(|number| number.parse::<u32>().map_err(drop));
    let mut number =
        || numbers.next().ok_or(())?.and_then(|n| if n < 1 << 20 { Ok(n) } else { Err(()) });
    let (subject, relation, object) = (number()?, number()?, number()?);
    if numbers.next().is_some() || subject == object {
        return Err(());
    }
    let splits = [("b", [true, true]), ("f", [true, false]), ("r", [false, true])];
    let mut trained = None;
    for (letter, split) in splits {
        if let Some(after) = rest.strip_prefix(letter) {
            (trained, rest) = (Some(split), after);
            break;
        }
    }
    let (group, weight) = match rest.split_once('w') {
        Some((group, weight)) => (group, weight.parse().map_err(drop)?),
        None => (rest, 1.0),
    };
    let group = match group.strip_prefix('g') {
        Some(group) => Some(group.parse().map_err(drop)?),
        None if group.is_empty() => None,
        None => return Err(()),
    };
    let right = |weight: &f64| *weight > 0.0 && weight.is_finite();
    let weight = Some(weight).filter(right).ok_or(())?;
    Ok(TableFact { subject, relation, object, trained, group, weight })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_reads_back_and_damage_is_refused() {
        let digest = "0123456789abcdef".repeat(4);
        let text = format!("{digest} ps 0.0.1 2.0.3b 4.1.0fg2w0.5 1.1.2r 5.0.6g1 5.0.7w2");
        let table: FactTable = text.parse().unwrap();
        assert_eq!(table.to_string(), text);
        assert_eq!((table.entities(), table.facts.len()), (8, 6));
        assert_eq!(table.facts[2].trained, Some([true, false]));
        assert_eq!((table.facts[2].group, table.facts[2].weight), (Some(2), 0.5));
        assert_eq!([table.relation(0), table.relation(1)], [[0, 1], [2, 2]]);
        for bad in [
            "",
            "0.0.1",
            "x p 0.0.1",
            &digest,
            &format!("{digest} p"),
            &format!("{digest} q 0.0.1"),
            &format!("{digest} p 0.1.1"),
            &format!("{digest} p 0.0.0"),
            &format!("{digest} p 0.0"),
            &format!("{digest} p 0.0.1.2"),
            &format!("{digest} p 0.0.1x"),
            &format!("{digest} p 0.0.1w-1"),
            &format!("{digest} p 0.0.1  0.0.2"),
            &format!("{digest} p 0.0.4294967295"),
        ] {
            assert!(bad.parse::<FactTable>().is_err(), "{bad}");
        }
    }
}
