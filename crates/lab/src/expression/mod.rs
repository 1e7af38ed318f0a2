//! Conditions on named values: `model.layers >= 12 and held_out_nll < 1`.
//!
//! ```text
//! condition  = and { "or" and }
//! and        = not { "and" not }
//! not        = "not" not | "(" condition ")" | operand [ comparison operand ]
//! comparison = "==" | "!=" | "<" | "<=" | ">" | ">="
//! operand    = name | number | 'text' | "text" | true | false | none
//! ```
//!
//! A comparison of values of two types, or with a missing one, does not hold, but `!=` does. A name
//! alone holds where it is true. `none` is the missing value.

mod parse;
mod token;

use retrodict_settings::nearest;
use thiserror::Error;

use crate::cell::Cell;

/// A condition that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExpressionError {
    /// It is not of the grammar.
    #[error("`{text}`: at character {at}, {problem}")]
    Syntax {
        /// The condition.
        text: String,
        /// The character, counted from 1.
        at: usize,
        /// The problem, and what would be right.
        problem: String,
    },
    /// A name that is not known.
    #[error("`{text}`: there is no `{name}`; {hint}")]
    Name {
        /// The condition.
        text: String,
        /// The name.
        name: String,
        /// The nearest name, or how texts are written.
        hint: String,
    },
}

/// A condition that has been read.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    text: String,
    root: Node,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Any(Vec<Node>),
    All(Vec<Node>),
    Not(Box<Node>),
    Compare(Operand, Comparison, Operand),
    True(Operand),
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Name(String),
    Value(Cell),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Expression {
    /// Reads a condition.
    ///
    /// # Errors
    /// [`ExpressionError::Syntax`] names the character.
    pub fn parse(text: &str) -> Result<Expression, ExpressionError> {
        parse::parse(text).map(|root| Expression { text: text.to_owned(), root }).map_err(
            |(at, problem)| ExpressionError::Syntax { text: text.to_owned(), at: at + 1, problem },
        )
    }

    /// Every name in it.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.root.names(&mut names);
        names
    }

    /// Refuses a name that is none of `known`.
    ///
    /// # Errors
    /// [`ExpressionError::Name`] with the nearest name.
    pub fn check<'k>(
        &self,
        known: impl Iterator<Item = &'k str> + Clone,
    ) -> Result<(), ExpressionError> {
        let unknown = self.names().into_iter().find(|name| !known.clone().any(|k| k == *name));
        let Some(name) = unknown else { return Ok(()) };
        let hint = match near(name, known) {
            Some(near) => format!("did you mean `{near}`? (a text is quoted: '{name}')"),
            None => format!("a text is quoted: '{name}'"),
        };
        let (text, name) = (self.text.clone(), name.to_owned());
        Err(ExpressionError::Name { text, name, hint })
    }

    /// Whether it holds for these values.
    pub fn holds(&self, value: &impl Fn(&str) -> Cell) -> bool {
        self.root.holds(value)
    }
}

/// The known name that was probably meant: the nearest, or one in a section that is left out.
pub fn near<'k>(name: &str, known: impl Iterator<Item = &'k str> + Clone) -> Option<&'k str> {
    let in_a_section = |known: &&str| known.rsplit_once('.').is_some_and(|(_, key)| key == name);
    let exact = known.clone().find(in_a_section);
    exact.or_else(|| nearest(name, known.clone())).or_else(|| {
        // Of keys without their sections.
        let key = |known: &'k str| known.rsplit_once('.').map_or(known, |(_, key)| key);
        let right = nearest(name, known.clone().map(key))?;
        known.clone().find(|known: &&'k str| key(known) == right)
    })
}

impl Node {
    fn names<'n>(&'n self, out: &mut Vec<&'n str>) {
        let mut push = |operand: &'n Operand| {
            if let Operand::Name(name) = operand {
                out.push(name);
            }
        };
        match self {
            Node::Any(nodes) | Node::All(nodes) => nodes.iter().for_each(|node| node.names(out)),
            Node::Not(node) => node.names(out),
            Node::Compare(left, _, right) => {
                push(left);
                push(right);
            }
            Node::True(operand) => push(operand),
        }
    }

    fn holds(&self, value: &impl Fn(&str) -> Cell) -> bool {
        let of = |operand: &Operand| match operand {
            Operand::Name(name) => value(name),
            Operand::Value(cell) => cell.clone(),
        };
        match self {
            Node::Any(nodes) => nodes.iter().any(|node| node.holds(value)),
            Node::All(nodes) => nodes.iter().all(|node| node.holds(value)),
            Node::Not(node) => !node.holds(value),
            Node::Compare(left, comparison, right) => comparison.holds(&of(left), &of(right)),
            Node::True(operand) => of(operand) == Cell::Boolean(true),
        }
    }
}

impl Comparison {
    fn holds(self, left: &Cell, right: &Cell) -> bool {
        let order = left.compare(right);
        match self {
            Comparison::Equal => order.is_some_and(|order| order.is_eq()),
            Comparison::NotEqual => order.is_none_or(|order| order.is_ne()),
            Comparison::Less => order.is_some_and(|order| order.is_lt()),
            Comparison::AtMost => order.is_some_and(|order| order.is_le()),
            Comparison::Greater => order.is_some_and(|order| order.is_gt()),
            Comparison::AtLeast => order.is_some_and(|order| order.is_ge()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Cell {
        match name {
            "model.layers" => Cell::Integer(12),
            "held_out_nll" => Cell::Number(0.5),
            "data.kind" => Cell::Text("chain".to_owned()),
            "model.tie_head" => Cell::Boolean(true),
            _ => Cell::Missing,
        }
    }

    fn holds(text: &str) -> bool {
        Expression::parse(text).unwrap().holds(&value)
    }

    #[test]
    fn comparisons_and_precedence() {
        for text in [
            "model.layers >= 12 and held_out_nll < 1",
            "model.layers == 12.0",
            "1e1 < model.layers",
            "held_out_nll > -1.5e-3",
            "data.kind == 'chain' and data.kind != \"icl\"",
            "model.tie_head and not asymmetry > 0",
            "not (model.layers < 12 or data.kind == 'icl')",
            // `and` binds before `or`, `not` before both.
            "model.layers == 12 or model.layers == 1 and held_out_nll > 1",
            "not model.layers == 1 and data.kind == 'chain'",
            "asymmetry == none and held_out_nll != none",
            "data.kind != 3",
            "true",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in [
            "(model.layers == 12 or model.layers == 1) and held_out_nll > 1",
            "asymmetry < 1",
            "asymmetry >= 1",
            "data.kind < 3",
            "data.kind",
            "model.tie_head == 'true'",
        ] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn a_wrong_condition_gets_its_place_and_the_remedy() {
        for (text, message) in [
            (
                "",
                "``: at character 1, the end stands where a name, a number or a text in quotes must be",
            ),
            (
                "x >",
                "`x >`: at character 4, the end stands where a name, a number or a text in quotes must be",
            ),
            ("(x > 1", "`(x > 1`: at character 7, a `)` is missing"),
            ("x > 1)", "`x > 1)`: at character 6, there is no `(` to this `)`"),
            (
                "1 < x < 3",
                "`1 < x < 3`: at character 7, a second comparison; join two with `and`, as in 1 < x and x < 3",
            ),
            (
                "x > 1 y",
                "`x > 1 y`: at character 7, `y` follows a whole condition; join two with `and` or `or`",
            ),
            ("x == 'a", "`x == 'a`: at character 6, a text begins that does not end"),
            ("x > 1e", "`x > 1e`: at character 5, `1e` is no number"),
            ("x % 2", "`x % 2`: at character 3, `%` is none of ( ) and or not == != < <= > >="),
        ] {
            assert_eq!(Expression::parse(text).unwrap_err().to_string(), message);
        }
        let deep = format!("{}x", "(".repeat(100_000));
        assert!(Expression::parse(&deep).is_err());
    }

    #[test]
    fn an_unknown_name_gets_the_nearest() {
        let known = ["model.layers", "held_out_nll", "data.kind", "status"];
        let check = |text: &str| {
            let checked = Expression::parse(text).unwrap().check(known.iter().copied());
            checked.map_err(|error| error.to_string())
        };
        assert_eq!(check("model.layers > 1 and status == 'complete'"), Ok(()));
        for (text, near) in [
            ("layers > 1", "model.layers"),
            ("held_out_nl < 1", "held_out_nll"),
            ("layer > 1", "model.layers"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(&format!("did you mean `{near}`?")), "{error}");
        }
        let error = check("data.kind == chain").unwrap_err();
        assert_eq!(error, "`data.kind == chain`: there is no `chain`; a text is quoted: 'chain'");
        let error = check("data.kind == one-to-many").unwrap_err();
        assert!(error.ends_with("there is no `one-to-many`; a text is quoted: 'one-to-many'"));
    }
}
