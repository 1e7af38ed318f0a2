//! The thread that follows the store: it finds new runs, and reads the measures of those that have
//! changed.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use retrodict_lab::spec::SpecHash;
use retrodict_lab::store::{Manifest, RunDir, Status};

use crate::source::{Setting, Source};
use crate::table::{Run, Table};

/// The shortest time between two looks at the store.
const PAUSE: Duration = Duration::from_secs(1);
/// A look takes at most this part of the time, so that a large store on a slow disk is not read all
/// the time.
const PART: u32 = 8;
/// The sweeps that are kept, the newest.
const MOST_SWEEPS: usize = 20;
/// The shortest time between two overviews.
const SPEECH: Duration = Duration::from_millis(800);
/// The time that is spent on measures before they are shown.
const BATCH: Duration = Duration::from_millis(400);

/// The table that the thread writes and requests read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared(Arc<RwLock<Table>>);

impl Shared {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader of the store that remembers what it has seen.
pub(crate) struct Scanner {
    source: Source,
    table: Shared,
    /// When the metrics of runs that are not final last changed.
    changed: HashMap<u32, SystemTime>,
    /// The setting of the run that was read last: neighbours share it.
    setting: Option<((String, SpecHash), Setting)>,
    /// Runs whose measures are to be read.
    pending: Vec<u32>,
}

impl Scanner {
    pub(crate) fn new(source: Source, table: Shared) -> Scanner {
        let (changed, setting, pending) = (HashMap::new(), None, Vec::new());
        Scanner { source, table, changed, setting, pending }
    }

    /// Follows the store until `stop`; calls `tell` after every change. While nobody watches it
    /// rests.
    pub(crate) fn follow(
        mut self,
        stop: &AtomicBool,
        watched: impl Fn() -> bool,
        tell: impl Fn(&Table),
    ) {
        let (mut last, mut took) = (None::<Instant>, Duration::ZERO);
        let (mut told, mut spoke) = (None, None);
        while !stop.load(Ordering::Relaxed) {
            let due = last.is_none_or(|at| at.elapsed() > PAUSE.max(took * PART));
            if watched() && due {
                let begun = Instant::now();
                self.look();
                (took, last) = (begun.elapsed(), Some(Instant::now()));
            }
            self.measure();
            let rested = spoke.is_none_or(|at: Instant| at.elapsed() > SPEECH);
            let table = self.table.read();
            if told != Some(table.generation) && rested {
                (told, spoke) = (Some(table.generation), Some(Instant::now()));
                tell(&table);
            }
            drop(table);
            if self.pending.is_empty() {
                thread::sleep(Duration::from_millis(100));
            }
        }
    }

    /// Finds new, changed and removed runs.
    pub(crate) fn look(&mut self) {
        let runs = match self.source.runs() {
            Ok(runs) => runs,
            Err(error) => {
                self.warn::<()>("the store", Err(error.to_string()));
                return;
            }
        };
        let sweeps = self.source.new_sweeps(&self.table.read().sweeps);
        if !sweeps.is_empty() {
            let mut table = self.table.write();
            table.sweeps.extend(sweeps);
            table.sweeps.sort_by(|a, b| b.id.cmp(&a.id));
            table.sweeps.truncate(MOST_SWEEPS);
            table.generation += 1;
        }
        let mut seen = HashSet::with_capacity(runs.len());
        for run in &runs {
            let known = {
                let table = self.table.read();
                let setting = table.find_setting(&run.experiment, run.hash);
                let place = setting.and_then(|setting| table.find_run(setting, run.seed));
                place.map(|place| (place, table.runs()[place as usize]))
            };
            seen.extend(known.map(|(place, _)| place));
            // Complete and diverged runs are final.
            let is_final =
                |run: &Run| !run.gone && matches!(run.status, Status::Complete | Status::Diverged);
            if known.is_some_and(|(_, run)| is_final(&run)) {
                continue;
            }
            let refreshed = self.refresh(run, known);
            let name = format!("{}/{}/{}", run.experiment, run.hash, run.seed);
            if let Some(place) = self.warn(&name, refreshed).flatten() {
                seen.insert(place);
            }
        }
        let mut table = self.table.write();
        let gone: Vec<u32> = (0..table.runs().len() as u32)
            .filter(|place| table.run(*place).is_some() && !seen.contains(place))
            .collect();
        for place in gone {
            table.remove(place);
        }
        self.pending.retain(|place| seen.contains(place));
    }

    /// Keeps the line of a run that cannot be read, or drops it.
    fn warn<T>(&self, name: &str, result: Result<T, String>) -> Option<T> {
        let mut table = self.table.write();
        match result {
            Ok(value) => {
                if table.warnings.remove(name).is_some() {
                    table.generation += 1;
                }
                Some(value)
            }
            Err(message) => {
                if table.warnings.insert(name.to_owned(), message.clone()) != Some(message) {
                    table.generation += 1;
                }
                None
            }
        }
    }

    /// Reads the state of a run; `None` if it has only just begun.
    fn refresh(&mut self, run: &RunDir, known: Option<(u32, Run)>) -> Result<Option<u32>, String> {
        if known.is_none() && !self.source.is_inside(run) {
            return Err("it is a link to a place outside the folder; it is not shown".to_owned());
        }
        let state = self.source.state(run)?;
        let setting = match known {
            Some((_, run)) => run.setting,
            None => {
                if let Err(error) = self.setting_of(run) {
                    return if state.status == Status::Running { Ok(None) } else { Err(error) };
                }
                let Some((_, setting)) = &self.setting else { return Ok(None) };
                let mut table = self.table.write();
                let found = table.find_setting(&run.experiment, run.hash);
                found.unwrap_or_else(|| {
                    table.add_setting((&run.experiment, run.hash), setting.epochs, &setting.keys)
                })
            }
        };
        let manifest = state.manifest.as_ref();
        let before = known.map(|(_, run)| run).filter(|run| !run.gone);
        let mut now = before.unwrap_or(Run {
            setting,
            seed: run.seed,
            status: state.status,
            epoch: 0,
            step: 0,
            started: f64::NAN,
            ended: f64::NAN,
            touched: f64::NAN,
            measured: false,
            gone: false,
        });
        now.status = state.status;
        stamp(&mut now, manifest);
        let metrics = self.source.changed(run);
        let touched = metrics.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        now.touched = touched.map_or(now.touched, |touched| touched.as_secs_f64());
        let seen = known.and_then(|(place, _)| self.changed.get(&place).copied());
        if before.is_none_or(|before| before.status != now.status) || metrics != seen {
            now.measured = false;
        }
        let same = before
            .is_some_and(|before| before.status == now.status && before.measured == now.measured);
        if same {
            return Ok(known.map(|(place, _)| place));
        }
        let place = self.table.write().put(now);
        if let Some(metrics) = metrics {
            self.changed.insert(place, metrics);
        }
        if !now.measured && (known.is_none() || !self.pending.contains(&place)) {
            self.pending.push(place);
        }
        Ok(Some(place))
    }

    /// Reads the setting of a run, unless it was read last.
    fn setting_of(&mut self, run: &RunDir) -> Result<(), String> {
        let of = (run.experiment.clone(), run.hash);
        if self.setting.as_ref().is_none_or(|(known, _)| *known != of) {
            self.setting = Some((of, self.source.setting(run)?));
        }
        Ok(())
    }

    /// Reads measures of pending runs for a while, the newest first.
    pub(crate) fn measure(&mut self) {
        let begun = Instant::now();
        while let Some(place) = self.pending.pop() {
            let Some((run, experiment, hash)) = ({
                let table = self.table.read();
                table.run(place).map(|run| {
                    let setting = table.setting(run.setting);
                    (*run, setting.experiment.clone(), setting.hash)
                })
            }) else {
                continue;
            };
            let measured = self.source.run(&experiment, hash, run.seed);
            let measured = measured.map_err(|error| error.to_string()).and_then(|folder| {
                self.setting_of(&folder)?;
                let Some((_, setting)) = &self.setting else { return Err(String::new()) };
                self.source.measures(&folder, setting, run.status)
            });
            let name = format!("{experiment}/{hash}/{}", run.seed);
            let measured = self.warn(&name, measured);
            let mut table = self.table.write();
            let mut now = Run { measured: true, ..run };
            if let Some(measured) = measured {
                stamp(&mut now, measured.manifest.as_ref());
                (now.epoch, now.step) = measured.last.unwrap_or((now.epoch, now.step));
                table.put(now);
                table.measure(place, &measured.values);
            } else {
                table.put(now);
            }
            if begun.elapsed() > BATCH {
                return;
            }
        }
    }
}

/// The times of a run, from its manifest.
fn stamp(run: &mut Run, manifest: Option<&Manifest>) {
    let Some(manifest) = manifest else { return };
    let seconds = |text: &str| {
        let time = humantime::parse_rfc3339_weak(text).ok()?;
        Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
    };
    run.started = seconds(&manifest.start).unwrap_or(f64::NAN);
    run.ended = manifest.end.as_deref().and_then(seconds).unwrap_or(f64::NAN);
}
