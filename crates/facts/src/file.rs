//! Your own facts: pairs from a file, forward `s r o` and in reverse `o r⁻¹ s`. The file says which
//! direction of a pair is held out, or a draw does.

use std::collections::HashMap;
use std::sync::Arc;

use retrodict_settings::{FRACTION, Refused, Setting, Value, settings};

use crate::group::{Group, Role};
use crate::kind::{DataKind, Structure};
use crate::limits::{self, MAX_VOCAB, at_most};
use crate::numpy::RandomState;
use crate::query::{EntityType, Query};
use crate::table::{FactTable, TableFact};
use crate::tuples::trained_of;
use crate::{Dataset, FactsError};

/// The most facts: their numbers stand in the stored spec of every run.
const MOST_FACTS: usize = 20_000;

settings! {
    /// Settings of a data set from a file of facts.
    pub struct FileConfig in "data" {
        /// The file of facts (docs/your-own-facts.md): CSV, JSON Lines or Parquet. In a spec's file it
        /// is relative to the folder of that file, on the command line to the working directory.
        pub facts: FactsPath = FactsPath::default(), (), unhashed;
        /// Fraction of the facts with an empty split trained in both directions, rounded half to even;
        /// of the others a coin decides which direction is trained.
        pub train_fraction: f64 = 0.7, FRACTION;
        /// The facts as numbers, and the digest of the file. Filled in when the file is read, so that a
        /// stored spec does not need it; with both, the file must not have changed.
        pub content: Content = Content::default(), (), hidden;
    }
}

/// The path of a file of facts; empty where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FactsPath(pub String);

impl Setting for FactsPath {
    type Range = ();

    fn parse(value: &Value, (): &()) -> Result<Self, Refused> {
        match value {
            Value::Text(path) if !path.is_empty() && !path.chars().any(char::is_control) => {
                Ok(Self(path.clone()))
            }
            _ => Err(Refused::Right(Self::right(&()))),
        }
    }

    fn text(&self) -> Option<String> {
        let escaped = self.0.replace('\\', "\\\\").replace('"', "\\\"");
        (!self.0.is_empty()).then(|| format!("\"{escaped}\""))
    }

    fn right((): &()) -> String {
        "the path of a file, in quotes".to_owned()
    }
}

/// The facts of the file, once it is read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Content(pub Option<Arc<FactTable>>);

impl Setting for Content {
    type Range = ();

    fn parse(value: &Value, (): &()) -> Result<Self, Refused> {
        let table = match value {
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        let table: FactTable = table.ok_or_else(|| Refused::Right(Self::right(&())))?;
        Ok(Self(Some(Arc::new(table))))
    }

    fn text(&self) -> Option<String> {
        self.0.as_ref().map(|table| format!("\"{table}\""))
    }

    fn right((): &()) -> String {
        "what `retrodict run` wrote; leave it out to read the file".to_owned()
    }
}

impl FileConfig {
    fn table(&self) -> Result<&FactTable, FactsError> {
        let right = "give the path of a file of facts, as in facts = \"facts.csv\"";
        self.content.0.as_deref().ok_or(FactsError::Missing { key: "facts", right })
    }

    /// The number of relation tokens: two for each relation.
    fn reserved(table: &FactTable) -> usize {
        2 * table.symmetric.len()
    }

    /// Whether the directions of each fact are trained, forward and reverse.
    fn split(&self, table: &FactTable, random: &mut RandomState) -> Vec<[bool; 2]> {
        let mut drawn: Vec<Vec<usize>> = Vec::new();
        let mut groups: HashMap<u32, usize> = HashMap::new();
        for (at, fact) in table.facts.iter().enumerate().filter(|(_, f)| f.trained.is_none()) {
            let new = drawn.len();
            let place = fact.group.map_or(new, |group| *groups.entry(group).or_insert(new));
            if place == new {
                drawn.push(Vec::new());
            }
            drawn[place].push(at);
        }
        random.shuffle(&mut drawn);
        let both = trained_of(self.train_fraction, drawn.len());
        let mut split: Vec<[bool; 2]> =
            table.facts.iter().map(|fact| fact.trained.unwrap_or([true, true])).collect();
        for of_group in &drawn[both..] {
            let forward = random.randint(2) == 1;
            of_group.iter().for_each(|&at| split[at] = [forward, !forward]);
        }
        split
    }
}

impl DataKind for FileConfig {
    fn validate(&self) -> Result<(), FactsError> {
        let table = self.table()?;
        let reason = "larger files are for `retrodict augment` and `audit`";
        at_most("facts", table.facts.len(), MOST_FACTS, reason)?;
        at_most("facts", self.vocab(), MAX_VOCAB, "larger vocabularies are not supported")?;
        limits::fraction(self.train_fraction)
    }

    fn vocab(&self) -> usize {
        self.table().map_or(1, |table| Self::reserved(table) + table.entities())
    }

    fn generate(&self, seed: u32) -> Result<Dataset, FactsError> {
        self.validate()?;
        let table = self.table()?;
        let split = self.split(table, &mut RandomState::new(seed));
        let types = types(table);
        let reserved = Self::reserved(table);
        let query = |source: u32, relation, answer: u32| Query {
            source: vec![source + reserved as u32],
            relation,
            answer: vec![answer + reserved as u32],
            answer_type: types[answer as usize],
        };
        let (mut train, mut weights) = (Vec::new(), Vec::new());
        let (mut both, mut one) = (Vec::new(), Vec::new());
        for (fact, trained) in table.facts.iter().zip(&split) {
            let &TableFact { subject, object, relation, weight, .. } = fact;
            let [forward, backward] = table.relation(relation);
            let pair = [query(subject, forward, object), query(object, backward, subject)];
            for (direction, _) in pair.iter().zip(trained).filter(|(_, trained)| **trained) {
                train.push(direction.sentence());
                weights.push(weight);
            }
            let [forward, backward] = pair;
            match trained {
                [true, true] => both.push((forward, backward)),
                [true, false] => one.push((forward, backward)),
                [false, _] => one.push((backward, forward)),
            }
        }
        let (train_forward, train_backward) = both.into_iter().unzip();
        // Stable: keeps the file's order within the types.
        one.sort_by_key(|(seen, unseen)| (unseen.answer_type, seen.answer_type));
        let held_out = one.iter().map(|(_, unseen): &(_, Query)| unseen.sentence()).collect();
        let (seen, unseen) = one.into_iter().unzip();
        if weights.iter().all(|weight| *weight == 1.0) {
            weights.clear();
        }
        Ok(Dataset {
            weights,
            train,
            held_out,
            vocab: self.vocab(),
            reserved,
            entity_length: 1,
            groups: vec![
                Group::new(Role::Forward, train_forward),
                Group::new(Role::Backward, train_backward),
                Group::new(Role::Seen, seen),
                Group::new(Role::Unseen, unseen),
            ],
            inverses: (0..table.symmetric.len() as u32).map(|at| table.relation(at)).collect(),
        })
    }

    fn structure(&self) -> Structure {
        Structure::INVERSES
    }
}

/// The types of all entities: X of those that are subjects only, Y of objects only, Z of those that
/// are both.
fn types(table: &FactTable) -> Vec<EntityType> {
    let mut types: Vec<Option<EntityType>> = vec![None; table.entities()];
    for fact in &table.facts {
        for (entity, new) in [(fact.subject, EntityType::X), (fact.object, EntityType::Y)] {
            let known = &mut types[entity as usize];
            *known =
                Some(known.map_or(new, |known| if known == new { new } else { EntityType::Z }));
        }
    }
    types.into_iter().map(|of| of.unwrap_or(EntityType::X)).collect()
}
