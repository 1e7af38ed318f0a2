//! Packed runs in memory, as the records of segments describe them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::record::{Header, MISSING, Summary};
use super::segment::{Base, Found, Place, Scanned};
use crate::cell::Cell;
use crate::spec::SpecHash;
use crate::store::manifest::{Kept, Status};

/// A packed run, without its files.
#[derive(Debug)]
pub(crate) struct PackedRun {
    pub(crate) place: Place,
    pub(crate) experiment: Arc<str>,
    pub(crate) hash: SpecHash,
    pub(crate) seed: u64,
    pub(crate) status: Status,
    pub(crate) kept: Kept,
    pub(crate) message: Option<Box<str>>,
    /// The last epoch and its step.
    pub(crate) last: Option<(u64, u64)>,
    pub(crate) keys: Arc<PackedKeys>,
    /// Bits of the measures: a hundred thousand runs are kept in memory.
    measures: Box<[u64]>,
}

/// The keys of the spec of some packed runs.
#[derive(Debug)]
pub(crate) struct PackedKeys {
    base: Arc<BaseKeys>,
    /// `None` for a key that does not apply.
    changes: Vec<(Box<str>, Option<Cell>)>,
}

/// The keys and measures that the records of some segments share.
#[derive(Debug)]
struct BaseKeys {
    of: Base,
    cells: BTreeMap<Box<str>, Cell>,
    measures: HashMap<Box<str>, usize>,
}

impl PackedKeys {
    /// The value of a key; `None` where it does not apply.
    pub(crate) fn get(&self, path: &str) -> Option<&Cell> {
        match self.changes.iter().find(|(key, _)| **key == *path) {
            Some((_, value)) => value.as_ref(),
            None => self.base.cells.get(path),
        }
    }

    /// Whether the values of all keys but the changed ones are surely the same in both.
    pub(crate) fn same_base(&self, other: &PackedKeys) -> bool {
        Arc::ptr_eq(&self.base, &other.base)
    }

    /// The keys that differ from the base.
    pub(crate) fn changed(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().map(|(key, _)| &**key)
    }

    /// The keys of the base.
    pub(crate) fn of_base(&self) -> impl Iterator<Item = (&str, &Cell)> {
        self.base.cells.iter().map(|(key, cell)| (&**key, cell))
    }
}

impl PackedRun {
    /// The measure `id`, if it was measured.
    pub(crate) fn measure(&self, id: &str) -> Option<f64> {
        let bits = *self.measures.get(*self.keys.base.measures.get(id)?)?;
        (bits != MISSING).then(|| f64::from_bits(bits))
    }

    /// Whether this record counts, not `other`.
    fn supersedes(&self, other: &PackedRun) -> bool {
        let rank = |run: &PackedRun| (run.status == Status::Complete, run.kept);
        match (self.status, other.status) {
            (Status::Complete, _) | (_, Status::Complete) => rank(self) > rank(other),
            _ => true,
        }
    }

    /// Its summary for a segment with this base.
    pub(super) fn summary(&self, base: &Base) -> Summary {
        let value = |id: &String| self.measure(id);
        let keys: BTreeMap<String, String> = self.lines();
        Summary {
            header: Header {
                experiment: self.experiment.to_string(),
                hash: self.hash.to_string(),
                seed: self.seed,
                status: self.status,
                kept: self.kept,
                message: self.message.as_deref().map(str::to_owned),
                last: self.last,
                changes: base.changes(&keys),
            },
            measures: base.measures.iter().map(value).collect(),
        }
    }

    /// Every key that applies, in TOML.
    pub(super) fn lines(&self) -> BTreeMap<String, String> {
        let mut keys = self.keys.base.of.keys.clone();
        for (key, value) in &self.keys.changes {
            match value {
                Some(cell) => keys.insert(key.to_string(), cell.to_toml()),
                None => keys.remove(&**key),
            };
        }
        keys
    }
}

type Key = (SpecHash, u64);

/// The records of a store's segments, as far as they have been read.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) segments: HashMap<Arc<Path>, Scanned>,
    pub(super) damaged: BTreeMap<Arc<Path>, String>,
    pub(super) runs: Vec<Arc<PackedRun>>,
    /// Indexes in `runs`: more than one where experiments of different names are equal.
    pub(super) by_key: HashMap<Key, Vec<usize>>,
    /// Equal ones are kept once.
    bases: Vec<Arc<BaseKeys>>,
    keys: HashMap<Key, Arc<PackedKeys>>,
    names: HashMap<String, Arc<str>>,
}

impl Known {
    /// Adds a record; of several records of one run the one that counts stays.
    ///
    /// # Errors
    /// A message if the record has no hash.
    pub(super) fn add(&mut self, found: Found) -> Result<(), String> {
        let Found { place, summary: Summary { header, measures }, base } = found;
        let hash: SpecHash = header.hash.parse().map_err(|_| "a record has no hash".to_owned())?;
        let key = (hash, header.seed);
        let experiment = match self.names.get(&header.experiment) {
            Some(name) => Arc::clone(name),
            None => {
                let name: Arc<str> = header.experiment.as_str().into();
                self.names.insert(header.experiment.clone(), Arc::clone(&name));
                name
            }
        };
        let run = PackedRun {
            place,
            experiment,
            hash,
            seed: header.seed,
            status: header.status,
            kept: header.kept,
            message: header.message.map(String::into_boxed_str),
            last: header.last,
            keys: self.keys_of(hash, &base, header.changes),
            measures: measures.iter().map(|m| m.map_or(MISSING, f64::to_bits)).collect(),
        };
        let places = self.by_key.entry(key).or_default();
        match places.iter().find(|at| self.runs[**at].experiment == run.experiment) {
            Some(&at) if run.supersedes(&self.runs[at]) => self.runs[at] = Arc::new(run),
            Some(_) => {}
            None => {
                places.push(self.runs.len());
                self.runs.push(Arc::new(run));
            }
        }
        Ok(())
    }

    /// The keys of a spec: one object for all its seeds.
    fn keys_of(
        &mut self,
        hash: SpecHash,
        base: &Arc<Base>,
        changes: BTreeMap<String, Option<String>>,
    ) -> Arc<PackedKeys> {
        let shared = match self.bases.iter().find(|known| known.of == **base) {
            Some(known) => Arc::clone(known),
            None => {
                let cell =
                    |(key, value): (&String, &String)| (key.as_str().into(), Cell::of_toml(value));
                let cells = base.keys.iter().map(cell).collect();
                let measures = base.measures.iter().enumerate();
                let measures = measures.map(|(at, id)| (id.as_str().into(), at)).collect();
                let known = Arc::new(BaseKeys { of: (**base).clone(), cells, measures });
                self.bases.push(Arc::clone(&known));
                known
            }
        };
        let cell = |(key, value): (String, Option<String>)| {
            (key.into_boxed_str(), value.map(|value| Cell::of_toml(&value)))
        };
        let changes = changes.into_iter().map(cell).collect();
        let keys = PackedKeys { base: shared, changes };
        // Runs of one hash differ in keys that do not decide the numbers, if at all.
        let id = (hash, keys.changes.len() as u64);
        if let Some(known) = self.keys.get(&id)
            && known.changes == keys.changes
            && known.same_base(&keys)
        {
            return Arc::clone(known);
        }
        let keys = Arc::new(keys);
        self.keys.insert(id, Arc::clone(&keys));
        keys
    }
}
