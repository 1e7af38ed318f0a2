//! One run: an experiment with one seed, from its newest checkpoint (or that of a shorter run, or
//! from the start) to its last epoch. It writes into its own folder only.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use retrodict_dynamics::{answers, directions, outranked};
use retrodict_engine::lower::DeviceError;
use retrodict_engine::{Purpose, Stream};
use retrodict_facts::{Dataset, TrainingSet};
use retrodict_models::{SentenceScore, Trainer};

mod resume;
mod steps;

pub(crate) use self::resume::{Stored, numbers};

use self::resume::parts;
pub(crate) use self::steps::GpuPlace;
use crate::by_question::by_question;
use crate::embeddings::{EMBEDDING_COSINES, EmbeddingCosines};
use crate::experiment::{Experiment, Steps};
use crate::extend::extend;
use crate::knowledge::{Examiner, Knowledge};
use crate::measures::{Epoch, Measure, Scores, TrainScores, capped};
use crate::probe::{EFFECTIVE_WEIGHTS, effective_weights};
use crate::progress::Progress;
use crate::reach::reach;
use crate::result::RunResult;
use crate::spec::{Keyword as _, Precision};
use crate::store::{
    Header, Kept, Machine, Manifest, MetricsRow, RunDir, RunWriter, Status, Store, StoreError,
    utc_now,
};

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Complete, diverged, failed or interrupted.
    pub status: Status,
    /// Why it did not complete.
    pub message: Option<String>,
    /// Whether the store already had it, so that nothing was trained.
    pub from_store: bool,
}

/// How a run is made; none of it decides its numbers.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions {
    /// Threads that share a step.
    pub threads: usize,
    /// Whether a run may resume what another program or instruction set began.
    pub mixed: bool,
    /// The files to keep. Runs that keep less than all are packed.
    pub keep: Kept,
}

/// Runs `experiment` with `seed` to its end, unless the store already has it. `stop` is read after
/// every step: once set, the run writes a checkpoint and ends.
///
/// # Errors
/// [`StoreError`] if the run's folder cannot be written, its metrics are damaged, or a file in it is
/// of another run or program. What was written before is kept, and the manifest says `failed`. A
/// damaged checkpoint is a warning of `progress`: the run resumes from the one before it.
///
/// # Panics
/// If training panics; the manifest then says `failed`.
pub fn run(
    experiment: &Experiment,
    store: &Store,
    seed: u64,
    options: RunOptions,
    stop: &AtomicBool,
    progress: &Progress,
) -> Result<Outcome, StoreError> {
    let (outcome, writer) = run_unsynced(experiment, store, seed, options, None, stop, progress)?;
    if let Some(writer) = writer {
        store.packs().sync()?;
        writer.release();
    }
    progress.finish();
    Ok(outcome)
}

/// As [`run`]; of a run that was packed, also the right to write it, to be released once the packed
/// runs are synced.
pub(crate) fn run_unsynced(
    experiment: &Experiment,
    store: &Store,
    seed: u64,
    options: RunOptions,
    place: Option<GpuPlace>,
    stop: &AtomicBool,
    progress: &Progress,
) -> Result<(Outcome, Option<RunWriter>), StoreError> {
    let find = || store.run_dir(&experiment.spec.name, experiment.hash, seed);
    let folder = find()?;
    if let Some(outcome) = ended_before(&folder, options.keep)? {
        return Ok((outcome, None));
    }
    let mut folder = begin(folder, experiment.spec.precision, options.keep)?;
    if let Some(place) = &place {
        folder.made_with(&place.isa);
    }
    // Another process may have finished it while this one waited.
    if let Some(outcome) = ended_before(&find()?, options.keep)? {
        folder.release();
        return Ok((outcome, None));
    }
    // It may be complete with fewer files than are to be kept now.
    folder.reopen()?;
    let whole = || match experiment.spec.precision {
        Precision::F32 | Precision::Bf16 => {
            let mut run = Run::<f32>::begin(experiment, store, &folder, options, progress)?;
            if let Some(place) = place {
                run.move_to(place)?;
            }
            run.go(stop, progress)
        }
        Precision::F64 => {
            Run::<f64>::begin(experiment, store, &folder, options, progress)?.go(stop, progress)
        }
    };
    let ended = catch_unwind(AssertUnwindSafe(whole));
    if let Err(panic) = &ended
        && let Some(lost) = panic.downcast_ref::<DeviceError>()
    {
        // What was written before is whole: the run resumes from its last checkpoint.
        let message = lost.to_string();
        record_end(experiment, &folder, Status::Interrupted, message.clone());
        let _ = folder.unpack();
        let message = Some(message);
        return Ok((Outcome { status: Status::Interrupted, message, from_store: false }, None));
    }
    let message = match &ended {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("the run panicked".to_owned()),
    };
    if let Some(message) = message {
        record_end(experiment, &folder, Status::Failed, message);
        // What failed may be the packing.
        let _ = folder.unpack();
    }
    let outcome = ended.unwrap_or_else(|panic| resume_unwind(panic))?;
    let packed = pack(experiment, store, &folder, &outcome)?;
    Ok((outcome, packed.then_some(folder)))
}

/// Claims the run. Its folder may vanish meanwhile, where another process has just packed it.
fn begin(folder: RunDir, precision: Precision, keep: Kept) -> Result<RunWriter, StoreError> {
    const TRIES: usize = 5;
    for _ in 1..TRIES {
        match folder.clone().begin(precision, keep) {
            Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            begun => return begun,
        }
    }
    folder.begin(precision, keep)
}

/// Packs a run whose files are in memory; says whether it did.
fn pack(
    experiment: &Experiment,
    store: &Store,
    folder: &RunWriter,
    outcome: &Outcome,
) -> Result<bool, StoreError> {
    let Some(ended) = folder.in_memory() else { return Ok(false) };
    append(experiment, store, &ended, folder.kept(), outcome)?;
    Ok(true)
}

/// Packs a run that is loaded.
pub(crate) fn append(
    experiment: &Experiment,
    store: &Store,
    run: &RunDir,
    kept: Kept,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    let result = RunResult::of(experiment, run, outcome.clone())?;
    let header = Header {
        experiment: run.experiment.clone(),
        hash: run.hash.to_string(),
        seed: run.seed,
        status: outcome.status,
        kept,
        message: outcome.message.clone(),
        last: result.last.map(|row| (row.epoch, row.step)),
        changes: BTreeMap::new(),
    };
    let lines = experiment.spec.lines();
    let keys = lines.into_iter().map(|line| (line.path(), line.value)).collect();
    let measure = |id: &str| Measure::find(id).ok()?.of(experiment, &result);
    run.files().map_or(Ok(()), |files| store.packs().append(header, keys, measure, files))
}

/// Says in the manifest how the run ended, as far as that can be written.
fn record_end(experiment: &Experiment, folder: &RunWriter, status: Status, message: String) {
    let kept = folder.read_manifest();
    let mut manifest = kept.unwrap_or_else(|_| first_manifest(experiment, folder));
    manifest.status = status;
    manifest.message = Some(message);
    manifest.end = Some(utc_now());
    // What failed may be the writing.
    let _ = folder.write_manifest(&manifest);
}

/// The manifest of a run that begins here.
fn first_manifest(experiment: &Experiment, folder: &RunWriter) -> Manifest {
    Manifest {
        version: crate::VERSION.to_owned(),
        commit: crate::COMMIT.map(str::to_owned),
        parts: Vec::new(),
        experiment: experiment.spec.name.clone(),
        spec_hash: experiment.hash.to_string(),
        continued_from: None,
        precision: experiment.spec.precision.word().to_owned(),
        seeds: experiment.seeds(folder.seed),
        machine: Machine { isa: folder.stamp().isa.clone(), ..Machine::here() },
        start: utc_now(),
        end: None,
        wall_seconds: 0.0,
        ms_per_step: None,
        status: Status::Running,
        last_step: 0,
        message: None,
        kept: folder.kept(),
    }
}

/// How the run ended, if it need not be repeated: it is complete with all files that are to be kept,
/// or it would diverge again.
fn ended_before(folder: &RunDir, keep: Kept) -> Result<Option<Outcome>, StoreError> {
    let ended = |status, message| Outcome { status, message, from_store: true };
    match folder.packed() {
        Some(run) if run.status == Status::Complete && run.kept >= keep => {
            return Ok(Some(ended(Status::Complete, None)));
        }
        Some(run) if run.status == Status::Diverged => {
            return Ok(Some(ended(Status::Diverged, run.message.as_deref().map(str::to_owned))));
        }
        Some(_) => return Ok(None),
        None => {}
    }
    if !folder.manifest_path().exists() {
        // A run of an early version may have none.
        return Ok(folder.is_complete().then(|| ended(Status::Complete, None)));
    }
    let manifest = folder.read_manifest()?;
    if folder.is_complete() {
        return match manifest.status {
            Status::Complete if manifest.kept < keep => Ok(None),
            Status::Complete => Ok(Some(ended(Status::Complete, None))),
            _ => Err(StoreError::damaged(
                &folder.manifest_path(),
                "the folder is marked as complete, and this file says that the run is not",
            )),
        };
    }
    let diverged = manifest.status == Status::Diverged;
    Ok(diverged.then(|| ended(Status::Diverged, manifest.message)))
}

/// The shortest time between two publications of the metrics of a run under way.
const LEAST_PAUSE: Duration = Duration::from_secs(2);

struct Run<'a, T> {
    experiment: &'a Experiment,
    folder: &'a RunWriter,
    dataset: Dataset,
    training_set: TrainingSet,
    trainer: Trainer<T>,
    examiner: Examiner,
    manifest: Manifest,
    rows: Vec<MetricsRow>,
    seed: u64,
    threads: usize,
    /// Whole epochs done.
    epoch: u64,
    /// Batches done of the next one.
    batch: u64,
    /// Sums over the batches of this epoch of each batch's mean.
    sums: TrainScores,
    /// Seconds of earlier parts of this run.
    seconds_before: f64,
    begun: Instant,
    /// When the metrics were last published, and the pause after that.
    published: (Instant, Duration),
    /// Seconds spent in steps only, and the number of steps.
    stepping: (f64, u64),
}

enum End {
    Complete,
    Interrupted,
    Diverged(String),
}

impl<'a, T: Stored> Run<'a, T> {
    fn begin(
        experiment: &'a Experiment,
        store: &Store,
        folder: &'a RunWriter,
        RunOptions { threads, mixed, .. }: RunOptions,
        progress: &Progress,
    ) -> Result<Run<'a, T>, StoreError> {
        let (begun, seed) = (Instant::now(), folder.seed);
        let dataset = experiment.dataset(seed).map_err(|error| StoreError::Damaged {
            path: folder.spec_path(),
            what: error.to_string(),
        })?;
        let mut run = Run {
            manifest: first_manifest(experiment, folder),
            trainer: experiment.trainer(seed, &dataset, threads),
            training_set: experiment.training_set(seed, &dataset),
            examiner: Examiner::new(&dataset, experiment.spec.probe.effective_weights),
            experiment,
            folder,
            dataset,
            rows: Vec::new(),
            seed,
            threads,
            epoch: 0,
            batch: 0,
            sums: TrainScores::default(),
            seconds_before: 0.0,
            begun,
            published: (begun, LEAST_PAUSE),
            stepping: (0.0, 0),
        };
        let (mut checkpoint, damages) = folder.resume_from(mixed)?;
        let from = checkpoint
            .as_ref()
            .map_or("the start".to_owned(), |checkpoint| format!("step-{}", checkpoint.state.step));
        for damage in damages {
            progress.warn(format!("{damage}; the run resumes from {from}"));
        }
        if let Some(found) = &checkpoint {
            let kept = folder.read_manifest().ok();
            run.manifest.continued_from = kept.as_ref().and_then(|m| m.continued_from.clone());
            run.manifest.parts = parts(kept, &found.state, folder.stamp());
            if let [.., before, now] = &run.manifest.parts[..] {
                progress.warn(format!(
                    "it resumes with {} what {} began: its bits are of neither, and the manifest \
                     lists the parts",
                    now.isa, before.isa
                ));
            }
        } else {
            let steps = experiment.steps(&run.training_set);
            extend(experiment, store, folder, steps, &mut run.manifest)?;
            checkpoint = folder.newest_checkpoint()?;
        }
        if let Some(checkpoint) = checkpoint {
            run.resume(&checkpoint)?;
        }
        folder.write_spec(&experiment.spec.to_toml())?;
        folder.write_manifest(&run.manifest)?;
        Ok(run)
    }

    fn go(mut self, stop: &AtomicBool, progress: &Progress) -> Result<Outcome, StoreError> {
        let end = self.train(stop, progress)?;
        let (status, message) = match end {
            End::Complete => (Status::Complete, None),
            End::Interrupted => (Status::Interrupted, None),
            End::Diverged(message) => (Status::Diverged, Some(message)),
        };
        self.folder.write_metrics(&self.rows)?;
        if status == Status::Complete {
            self.examine()?;
        }
        let keeps_last = self.experiment.spec.checkpoint.last && self.folder.kept() == Kept::All;
        let wanted = status == Status::Interrupted || keeps_last;
        if status != Status::Diverged && wanted {
            self.checkpoint()?;
        }
        self.manifest.end = Some(utc_now());
        self.manifest.wall_seconds = self.seconds();
        let (seconds, steps) = self.stepping;
        self.manifest.ms_per_step = (steps > 0).then(|| 1e3 * seconds / steps as f64);
        self.manifest.status = status;
        self.manifest.last_step = self.step();
        self.manifest.message.clone_from(&message);
        self.folder.write_manifest(&self.manifest)?;
        if status == Status::Complete {
            self.folder.remove_interruptions(|step| self.keeps_checkpoint(step))?;
            self.folder.mark_complete()?;
        }
        Ok(Outcome { status, message, from_store: false })
    }

    fn train(&mut self, stop: &AtomicBool, progress: &Progress) -> Result<End, StoreError> {
        let spec = &self.experiment.spec;
        let Steps { batch_size, per_epoch, total } = self.experiment.steps(&self.training_set);
        progress.start(total, self.step());
        if self.step() == 0 {
            // The initial model.
            if spec.probe.effective_weights {
                self.probe()?;
            }
            if self.checkpoints_at(0) {
                self.checkpoint()?;
            }
        }
        while self.epoch < spec.train.epochs {
            let order = self.order();
            let batches: Vec<&[usize]> =
                order.chunks(batch_size).skip(self.batch as usize).collect();
            let mut rest = &batches[..];
            while !rest.is_empty() {
                if stop.load(Ordering::Relaxed) {
                    return Ok(End::Interrupted);
                }
                let (now, later) = rest.split_at(self.steps_at_once(rest.len()));
                if let Some(message) = self.steps(now) {
                    return Ok(End::Diverged(message));
                }
                rest = later;
                progress.advance(self.step());
                if self.batch < per_epoch && self.checkpoints_at(self.step()) {
                    self.checkpoint()?;
                }
            }
            self.end_epoch(per_epoch);
            self.folder.unpack_if_long()?;
            progress.epoch(self.rows.last());
            self.publish()?;
            let epoch = self.epoch;
            if spec.probe.effective_weights && self.experiment.probes_after(epoch) {
                self.probe()?;
            }
            if self.epoch < spec.train.epochs && self.checkpoints_at(self.step()) {
                self.checkpoint()?;
            }
        }
        Ok(End::Complete)
    }

    /// Writes the metrics of a long run now and then, for those who watch it. The pause grows with
    /// the time that writing takes, which stays below two percent.
    fn publish(&mut self) -> Result<(), StoreError> {
        let (last, pause) = self.published;
        if last.elapsed() < pause {
            return Ok(());
        }
        let begun = Instant::now();
        self.folder.write_metrics(&self.rows)?;
        self.published = (Instant::now(), LEAST_PAUSE.max(begun.elapsed() * 50));
        Ok(())
    }

    /// The order of the training sentences in the next epoch.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.training_set.sentences.len()).collect();
        let seed = self.manifest.seeds.order;
        Stream::new(seed, Purpose::Order, self.epoch as u32).shuffle(&mut order);
        order
    }

    fn end_epoch(&mut self, batches: u64) {
        self.epoch += 1;
        self.batch = 0;
        let sums = std::mem::take(&mut self.sums);
        let batches = batches as f64;
        let probed = self.experiment.probes_after(self.epoch);
        let (mut held_out, mut logits) = (None, None);
        if !self.dataset.held_out.is_empty() {
            let (scores, of_answers) = self.trainer.evaluate_with_logits(&self.dataset.held_out);
            (held_out, logits) = (Some(means(scores)), of_answers);
        }
        let knowledge = (probed || self.examiner.cheap)
            .then(|| self.examiner.measure(&mut self.trainer, &self.dataset, logits));
        let epoch = Epoch {
            train: TrainScores {
                nll: sums.nll / batches,
                first_token_nll: sums.first_token_nll / batches,
            },
            train_eval: probed.then(|| means(self.trainer.evaluate(&self.dataset.train))),
            held_out,
            knowledge: knowledge.unwrap_or_else(Knowledge::default),
            seconds: self.seconds(),
        };
        self.rows.push(MetricsRow::measured(self.epoch, self.step(), &epoch));
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        let tensors = effective_weights(&mut self.trainer, &self.dataset);
        if !tensors.is_empty() {
            self.folder.write_probe(EFFECTIVE_WEIGHTS, self.epoch, &tensors)?;
        }
        Ok(())
    }

    /// Measures the trained model, by programs of this machine.
    fn examine(&mut self) -> Result<(), StoreError> {
        self.trainer.leave_device();
        let cosines = EmbeddingCosines::measure(&self.trainer, &self.dataset);
        self.folder.write_probe(EMBEDDING_COSINES, self.epoch, &cosines.tensors())?;
        let mut answers =
            answers(&self.dataset, |contexts| self.trainer.next_token_logits(contexts));
        let norms = self.trainer.head_norms();
        answers.outranked = outranked(&self.dataset, norms.as_deref(), |contexts| {
            self.trainer.logits_after(contexts)
        });
        if self.experiment.spec.probe.directions {
            let represent = |contexts: &[_]| self.trainer.representations(contexts);
            answers.directions = directions(&self.dataset, represent);
        }
        if self.experiment.spec.probe.reach {
            let (experiment, seed) = (self.experiment, self.seed);
            let fresh = || experiment.trainer(seed, &self.dataset, self.threads);
            answers.reach = reach(experiment, seed, &self.dataset, &mut self.trainer, fresh);
        }
        let ranks = self.examiner.by_question(&mut self.trainer);
        let by_question = by_question(&mut self.trainer, &self.dataset, ranks);
        self.folder.write_answers(&answers, &by_question)
    }

    fn step(&self) -> u64 {
        self.trainer.optimizer().steps()
    }

    fn seconds(&self) -> f64 {
        self.seconds_before + self.begun.elapsed().as_secs_f64()
    }
}

fn means(scores: &[SentenceScore]) -> Scores {
    let mean =
        |of: fn(&SentenceScore) -> f64| scores.iter().map(of).sum::<f64>() / scores.len() as f64;
    Scores {
        nll: mean(|score| capped(score.nll)),
        first_token_nll: mean(|score| capped(score.first_token_nll)),
        top1: mean(|score| f64::from(u8::from(score.top1))),
    }
}
