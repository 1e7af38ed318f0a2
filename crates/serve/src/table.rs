//! All runs of the store in memory, by column: about 600 bytes a run.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use retrodict_lab::runs::{Column, Query};
use retrodict_lab::spec::{SpecHash, keys};
use retrodict_lab::store::Status;
use retrodict_lab::sweep::SweepRecord;
use retrodict_lab::{Cell, MEASURES};

/// The runs and their settings.
#[derive(Debug, Default)]
pub(crate) struct Table {
    settings: Vec<Setting>,
    runs: Vec<Run>,
    keys: Vec<KeyColumn>,
    /// In the order of [`MEASURES`]; empty until a run has the measure, else as long as `runs`.
    measures: Vec<Vec<f64>>,
    by_setting: HashMap<(String, SpecHash), u32>,
    by_run: HashMap<(u32, u64), u32>,
    /// Rises with every change.
    pub(crate) generation: u64,
    /// The sweeps, the newest first.
    pub(crate) sweeps: Vec<SweepRecord>,
    /// One line for each run that cannot be read.
    pub(crate) warnings: BTreeMap<String, String>,
}

/// A spec of some runs.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The experiment's name.
    pub(crate) experiment: String,
    /// The spec's hash.
    pub(crate) hash: SpecHash,
    /// The epochs of a whole run.
    pub(crate) epochs: u64,
    /// For each key column, 0 where the key does not apply, else 1 more than the place of its value.
    values: Vec<u32>,
}

/// The values of a key.
#[derive(Debug)]
struct KeyColumn {
    path: String,
    values: Vec<Cell>,
    /// The place of each value: a random sweep has as many values as settings.
    places: HashMap<String, u32>,
}

/// A run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Its setting's place.
    pub(crate) setting: u32,
    /// Its seed.
    pub(crate) seed: u64,
    /// Its state.
    pub(crate) status: Status,
    /// The last epoch that has measures.
    pub(crate) epoch: u64,
    /// The steps then.
    pub(crate) step: u64,
    /// When it was started, in seconds since 1970; NaN if not known.
    pub(crate) started: f64,
    /// When it ended; NaN if not known.
    pub(crate) ended: f64,
    /// When its metrics last changed; NaN if not known.
    pub(crate) touched: f64,
    /// Whether its measures were read since it changed.
    pub(crate) measured: bool,
    /// Whether it was removed from the store.
    pub(crate) gone: bool,
}

/// Where the cells of a column lie.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Own(Column),
    Key(usize),
    Measure(usize),
    /// A key that no run has.
    Nowhere,
}

impl Table {
    /// The place of a setting, if it is known.
    pub(crate) fn find_setting(&self, experiment: &str, hash: SpecHash) -> Option<u32> {
        self.by_setting.get(&(experiment.to_owned(), hash)).copied()
    }

    /// The place of a run, if it is known.
    pub(crate) fn find_run(&self, setting: u32, seed: u64) -> Option<u32> {
        self.by_run.get(&(setting, seed)).copied()
    }

    /// Adds a setting with the values of its keys.
    pub(crate) fn add_setting(
        &mut self,
        (experiment, hash): (&str, SpecHash),
        epochs: u64,
        cells: &[(String, Cell)],
    ) -> u32 {
        let mut values = vec![0; self.keys.len()];
        for (path, cell) in cells {
            if matches!(path.as_str(), "name" | "seeds") {
                continue;
            }
            let at = self.keys.iter().position(|key| key.path == *path).unwrap_or_else(|| {
                let (values_of, places) = (Vec::new(), HashMap::new());
                self.keys.push(KeyColumn { path: path.clone(), values: values_of, places });
                values.push(0);
                self.keys.len() - 1
            });
            let key = &mut self.keys[at];
            let next = key.values.len() as u32;
            let value = *key.places.entry(format!("{cell:?}")).or_insert(next);
            if value == next {
                key.values.push(cell.clone());
            }
            values[at] = value + 1;
        }
        let place = self.settings.len() as u32;
        let experiment = experiment.to_owned();
        self.by_setting.insert((experiment.clone(), hash), place);
        self.settings.push(Setting { experiment, hash, epochs, values });
        place
    }

    /// Adds or changes a run; says which it is.
    pub(crate) fn put(&mut self, run: Run) -> u32 {
        let next = self.runs.len() as u32;
        let place = *self.by_run.entry((run.setting, run.seed)).or_insert(next);
        self.generation += 1;
        match self.runs.get_mut(place as usize) {
            Some(old) => *old = run,
            None => {
                self.runs.push(run);
                self.measures.iter_mut().filter(|m| !m.is_empty()).for_each(|m| m.push(f64::NAN));
            }
        }
        place
    }

    /// Sets the measures of a run, in the order of [`MEASURES`].
    pub(crate) fn measure(&mut self, run: u32, values: &[f64]) {
        self.measures.resize_with(MEASURES.len(), Vec::new);
        for (column, &value) in self.measures.iter_mut().zip(values) {
            if column.is_empty() && !value.is_nan() {
                column.resize(self.runs.len(), f64::NAN);
            }
            if let Some(slot) = column.get_mut(run as usize) {
                *slot = value;
            }
        }
        self.generation += 1;
    }

    /// All runs, removed ones too.
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// A run, unless it was removed.
    pub(crate) fn run(&self, run: u32) -> Option<&Run> {
        self.runs.get(run as usize).filter(|run| !run.gone)
    }

    /// Marks a run as removed.
    pub(crate) fn remove(&mut self, run: u32) {
        if let Some(run) = self.runs.get_mut(run as usize) {
            run.gone = true;
            self.generation += 1;
        }
    }

    /// A setting of the table.
    pub(crate) fn setting(&self, setting: u32) -> &Setting {
        &self.settings[setting as usize]
    }

    /// Where a column lies.
    pub(crate) fn place(&self, column: &Column) -> Place {
        match column {
            Column::Key(path) => match self.keys.iter().position(|key| key.path == *path) {
                Some(at) => Place::Key(at),
                None => Place::Nowhere,
            },
            Column::Measure(measure) => {
                let at = MEASURES.iter().position(|other| other.id == measure.id);
                at.map_or(Place::Nowhere, Place::Measure)
            }
            own => Place::Own(own.clone()),
        }
    }

    /// The value of a run in a column.
    pub(crate) fn cell(&self, run: u32, place: &Place) -> Cell {
        let of = &self.runs[run as usize];
        let setting = self.setting(of.setting);
        match place {
            Place::Own(Column::Experiment) => Cell::Text(setting.experiment.clone()),
            Place::Own(Column::Hash) => Cell::Text(setting.hash.to_string()),
            Place::Own(Column::Seed) => Cell::Integer(of.seed as i64),
            Place::Own(Column::Status) => Cell::Text(of.status.word().to_owned()),
            Place::Own(Column::Epoch) if of.epoch > 0 => Cell::Integer(of.epoch as i64),
            Place::Own(Column::Step) if of.epoch > 0 => Cell::Integer(of.step as i64),
            Place::Own(Column::Folder) => {
                let (experiment, hash) = (&setting.experiment, setting.hash);
                let folder = retrodict_lab::name::folder(experiment);
                Cell::Text(format!("runs/{folder}/{hash}/seed-{}", of.seed))
            }
            Place::Key(at) => self.key(setting, *at),
            Place::Measure(at) => Cell::of_measure(self.number(run, *at)),
            Place::Own(_) | Place::Nowhere => Cell::Missing,
        }
    }

    fn key(&self, setting: &Setting, at: usize) -> Cell {
        // A setting is as long as there were keys when it was added.
        let value = setting.values.get(at).copied().unwrap_or(0) as usize;
        match value.checked_sub(1) {
            Some(value) => self.keys[at].values[value].clone(),
            None => Cell::Missing,
        }
    }

    fn number(&self, run: u32, measure: usize) -> Option<f64> {
        self.measures.get(measure)?.get(run as usize).copied()
    }

    /// Whether any run has a measure.
    pub(crate) fn has_measure(&self, measure: usize) -> bool {
        self.measures.get(measure).is_some_and(|column| !column.is_empty())
    }

    /// The runs that a query selects, in its order; else by experiment, hash and seed.
    pub(crate) fn select(&self, query: &Query) -> Vec<u32> {
        let mut chosen: Vec<u32> =
            (0..self.runs.len() as u32).filter(|&run| !self.runs[run as usize].gone).collect();
        if let Some(condition) = &query.condition {
            let places: HashMap<&str, Place> = condition
                .names()
                .into_iter()
                .filter_map(|name| Some((name, self.place(&Column::parse(name).ok()?))))
                .collect();
            let cell = |run: u32, name: &str| {
                places.get(name).map_or(Cell::Missing, |place| self.cell(run, place))
            };
            chosen.retain(|&run| condition.holds(&|name: &str| cell(run, name)));
        }
        let by_name = |run: &u32| {
            let run = &self.runs[*run as usize];
            let setting = self.setting(run.setting);
            (&setting.experiment, setting.hash, run.seed)
        };
        chosen.sort_unstable_by(|a, b| by_name(a).cmp(&by_name(b)));
        // The last key first: the sort is stable.
        for (column, descending) in query.sort.iter().rev() {
            let place = self.place(column);
            let mut keyed: Vec<(Cell, u32)> =
                chosen.iter().map(|&run| (self.cell(run, &place), run)).collect();
            keyed.sort_by(|(a, _), (b, _)| sorting(a, b, *descending));
            chosen = keyed.into_iter().map(|(_, run)| run).collect();
        }
        chosen
    }

    /// The keys whose values differ between these runs, in the order of a spec, with the number of
    /// values.
    pub(crate) fn differing(&self, runs: &[u32]) -> Vec<(String, usize)> {
        let mut settings: Vec<u32> =
            runs.iter().map(|&run| self.runs[run as usize].setting).collect();
        settings.sort_unstable();
        settings.dedup();
        let count = |at: usize| {
            let of = |&s: &u32| self.setting(s).values.get(at).copied().unwrap_or(0);
            let mut values: Vec<u32> = settings.iter().map(of).collect();
            values.sort_unstable();
            values.dedup();
            values.len()
        };
        let columns = self.keys.iter().enumerate().map(|(at, key)| (key.path.clone(), count(at)));
        let mut found: Vec<_> = columns.filter(|(_, values)| *values > 1).collect();
        let order = |path: &str| keys().iter().position(|key| key.path() == path);
        found.sort_by_cached_key(|(path, _)| order(path));
        found
    }
}

/// As the listing of the command line: missing values are last in both directions.
fn sorting(a: &Cell, b: &Cell, descending: bool) -> Ordering {
    let missing = |cell: &Cell| *cell == Cell::Missing;
    let order = a.sorting(b);
    if descending && !missing(a) && !missing(b) { order.reverse() } else { order }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::default();
        for (layers, nll) in [(1, 3.0), (2, f64::NAN), (4, 1.0)] {
            let cells = [("model.layers".to_owned(), Cell::Integer(layers))];
            let hash = SpecHash(layers as u64);
            let setting = table.add_setting(("a", hash), 5, &cells);
            for seed in 0..2 {
                let run = table.put(Run { setting, seed, ..table_run() });
                let mut values = vec![f64::NAN; MEASURES.len()];
                values[0] = nll;
                table.measure(run, &values);
            }
        }
        table
    }

    fn selected(table: &Table, condition: &str, sort: &str) -> Vec<u32> {
        let condition = (!condition.is_empty()).then_some(condition);
        let sort = (!sort.is_empty()).then_some(sort);
        table.select(&Query::parse(condition, None, sort).unwrap())
    }

    #[test]
    fn runs_are_filtered_and_sorted_as_on_the_command_line() {
        let mut table = table();
        assert_eq!(selected(&table, "", ""), [0, 1, 2, 3, 4, 5]);
        assert_eq!(selected(&table, "model.layers >= 2 and seed == 1", ""), [3, 5]);
        assert_eq!(selected(&table, "train_nll == none", ""), [2, 3]);
        // A missing value is last in both directions.
        assert_eq!(selected(&table, "", "train_nll,-seed"), [5, 4, 1, 0, 3, 2]);
        assert_eq!(selected(&table, "", "-train_nll"), [0, 1, 4, 5, 2, 3]);
        table.remove(4);
        assert_eq!(selected(&table, "model.layers == 4", ""), [5]);
    }

    #[test]
    fn keys_that_differ_are_found_also_where_a_setting_lacks_one() {
        let mut table = table();
        let cells = [
            ("model.layers".to_owned(), Cell::Integer(4)),
            ("model.heads".to_owned(), Cell::Integer(2)),
        ];
        let setting = table.add_setting(("b", SpecHash(9)), 5, &cells);
        let like = table.runs()[4];
        let run = table.put(Run { setting, ..like });
        assert_eq!(table.differing(&[0, 1]), []);
        let all = [("model.layers".to_owned(), 3), ("model.heads".to_owned(), 2)];
        let found = table.differing(&[0, 2, 4, run]);
        assert!(all.iter().all(|key| found.contains(key)), "{found:?}");
        assert_eq!(table.differing(&[4, run]), [all[1].clone()]);
    }

    /// A hundred thousand runs of ten thousand settings, with every measure.
    #[test]
    fn a_large_table_is_small_and_fast() {
        let before = resident();
        let mut table = Table::default();
        let mut paths: Vec<String> = keys().iter().map(|key| key.path()).collect();
        paths.sort_unstable();
        paths.dedup();
        paths.retain(|path| !matches!(path.as_str(), "name" | "seeds"));
        let values = vec![0.123; MEASURES.len()];
        for at in 0..10_000_i64 {
            let cell = |n: usize| match n {
                0 => Cell::Number(at as f64 * 1e-7),
                1 => Cell::Integer(at % 100),
                _ => Cell::Text(format!("the value of {n}")),
            };
            let cells: Vec<_> =
                paths.iter().enumerate().map(|(n, path)| (path.clone(), cell(n))).collect();
            let setting = table.add_setting(("large", SpecHash(at as u64)), 5, &cells);
            for seed in 0..10 {
                let run = Run { setting, seed, ..table_run() };
                let place = table.put(run);
                table.measure(place, &values);
            }
        }
        if let (Some(before), Some(after)) = (before, resident()) {
            assert!(after.saturating_sub(before) < 150 << 20, "{} bytes", after - before);
        }
        let begun = std::time::Instant::now();
        let found = selected(&table, "seed == 3 and train_nll < 1", "-train_nll,seed");
        assert_eq!(found.len(), 10_000);
        // A hundredth of this on an idle machine.
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
        assert_eq!(table.differing(&found).len(), 2);
    }

    fn table_run() -> Run {
        Run {
            setting: 0,
            seed: 0,
            status: Status::Complete,
            epoch: 5,
            step: 50,
            started: 0.0,
            ended: 1.0,
            touched: 1.0,
            measured: true,
            gone: false,
        }
    }

    /// Bytes of memory of this process; Linux only.
    fn resident() -> Option<usize> {
        let text = std::fs::read_to_string("/proc/self/statm").ok()?;
        Some(text.split(' ').nth(1)?.parse::<usize>().ok()? * 4096)
    }
}
