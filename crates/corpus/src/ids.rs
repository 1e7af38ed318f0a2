//! Facts as numbers, for the laboratory's small models.

use std::collections::HashMap;

use retrodict_facts::{FactTable, TableFact};

use crate::{Direction, FactFile, Trained};

impl FactFile {
    /// The facts as numbers: entities and relations are counted in the order of the file.
    pub fn table(&self) -> FactTable {
        let mut entities: HashMap<&str, u32> = HashMap::new();
        let relations = self.relations();
        let symmetric = relations
            .iter()
            .map(|name| self.inverses.get(*name).is_some_and(|i| i == name))
            .collect();
        let mut groups: HashMap<&str, u32> = HashMap::new();
        let mut facts = Vec::new();
        for fact in &self.facts {
            let mut entity = |name| {
                let next = entities.len() as u32;
                *entities.entry(name).or_insert(next)
            };
            let (subject, object) = (entity(&*fact.subject), entity(&*fact.object));
            let relation = relations.iter().position(|name| *name == fact.relation).unwrap_or(0);
            let group = fact.group.as_deref().map(|name| {
                let next = groups.len() as u32;
                *groups.entry(name).or_insert(next)
            });
            facts.push(TableFact {
                subject,
                relation: relation as u32,
                object,
                trained: fact.trained.map(|trained| match trained {
                    Trained::Both => [true, true],
                    Trained::Only(direction) => Direction::ALL.map(|d| d == direction),
                }),
                group,
                weight: fact.weight,
            });
        }
        FactTable { digest: self.digest.clone(), symmetric, facts }
    }
}
