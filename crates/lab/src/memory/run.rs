//! The memory of runs, and how many fit at a time.

use std::num::NonZeroUsize;

use retrodict_engine::{ProductPrecision, Scalar};
use retrodict_facts::{Dataset, FactsError, TrainingSet};
use retrodict_models::{Batches, DeviceBytes, Network, TrainerBytes};

use super::{MemoryError, Size, free, product};
use crate::experiment::Experiment;
use crate::run_all::{Job, Resources, SHARED_STEP};
use crate::spec::Precision;
use crate::store::Store;

/// The peak memory of a run, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunBytes {
    /// Parameters, gradients, moments and programs.
    pub trainer: TrainerBytes,
    /// Sentences and questions.
    pub data: u64,
    /// Logits and effective weights of a measurement.
    pub measures: u64,
    /// The copy of the state that a checkpoint serialises.
    pub checkpoint: u64,
    /// A second trainer, where `probe.reach` needs one.
    pub reach: u64,
}

impl RunBytes {
    /// All of it. A measurement and a checkpoint are never made at the same time.
    pub fn total(&self) -> u64 {
        let passing = self.measures.max(self.checkpoint);
        let parts = [self.trainer.total(), self.data, passing, self.reach];
        parts.into_iter().fold(0, u64::saturating_add)
    }

    /// The keys of a spec that lower the largest part.
    fn remedy(&self, network: &Network) -> &'static str {
        let TrainerBytes { parameters, gradients, training, evaluation } = self.trainer;
        let state = parameters.saturating_add(gradients);
        let measures = evaluation.saturating_add(self.measures);
        if state >= training.max(measures) {
            return match network {
                Network::Decoder(_) => "lower model.dim, model.layers or data.vocab_size",
                Network::Bilinear(_) | Network::OneLayer(_) => "lower model.dim or data.vocab_size",
            };
        }
        match training >= measures {
            true => "lower train.batch_size, data.pack, model.dim or model.layers",
            false => "lower data.vocab_size, or set probe.effective_weights = false",
        }
    }
}

impl Experiment {
    /// The predicted peak memory of a run with so many threads.
    ///
    /// # Errors
    /// As [`Experiment::dataset`].
    pub fn memory(&self, threads: usize) -> Result<RunBytes, FactsError> {
        let seed = self.spec.seeds.first().copied().unwrap_or(0);
        let dataset = self.dataset(seed)?;
        let training_set = self.training_set(seed, &dataset);
        let trainer = match self.spec.precision {
            Precision::F32 | Precision::Bf16 => {
                self.trainer_bytes::<f32>(threads, &dataset, &training_set)
            }
            Precision::F64 => self.trainer_bytes::<f64>(threads, &dataset, &training_set),
        };
        let moments = self.spec.train.optimizer.moments() as u64;
        let checkpoint = trainer.parameters + trainer.gradients / (1 + moments) * moments;
        let reach = match self.spec.probe.reach {
            true => trainer.total().saturating_add(trainer.parameters.saturating_mul(4)),
            false => 0,
        };
        let data = data_bytes(&dataset, &training_set);
        let measures = self.measure_bytes(&dataset);
        Ok(RunBytes { trainer, data, measures, checkpoint, reach })
    }

    fn trainer_bytes<T: Scalar>(
        &self,
        threads: usize,
        dataset: &Dataset,
        training_set: &TrainingSet,
    ) -> TrainerBytes {
        let objective = self.objective_of(dataset, training_set);
        let (rule, batches) = (self.spec.train.optimizer, self.batches(dataset, training_set));
        TrainerBytes::predict::<T>(
            &self.network,
            &objective,
            rule,
            self.products(),
            threads,
            &batches,
        )
    }

    /// The memory of one seed on a GPU; an error names what the GPU cannot do.
    pub(crate) fn device_bytes(&self) -> Result<DeviceBytes, String> {
        let seed = self.spec.seeds.first().copied().unwrap_or(0);
        let dataset = self.dataset(seed).map_err(|error| error.to_string())?;
        let training_set = self.training_set(seed, &dataset);
        let objective = self.objective_of(&dataset, &training_set);
        let train = &self.spec.train;
        let update = (train.optimizer, train.decay_norms, train.clip);
        let batches = self.batches(&dataset, &training_set);
        DeviceBytes::predict::<f32>(&self.network, &objective, update, self.products(), &batches)
            .map_err(|error| error.to_string())
    }

    /// The batches of a run: those of training, and of the questions that measures ask.
    fn batches(&self, dataset: &Dataset, training_set: &TrainingSet) -> Batches {
        let sentences = training_set.sentences.len();
        let size = self.batch_size(sentences);
        let rest = Some(sentences % size).filter(|rest| *rest > 0);
        let mut contexts = Vec::new();
        for group in &dataset.groups {
            let Some(query) = group.queries.first() else { continue };
            let (count, context) = (group.queries.len(), query.question().context.len());
            contexts.push((query.source.len(), count));
            contexts.extend((0..query.answer.len()).map(|more| (context + more, count)));
        }
        Batches {
            training: std::iter::once(size).chain(rest).collect(),
            scored: vec![dataset.train.len(), dataset.held_out.len()],
            contexts,
        }
    }

    /// The logits of a whole group are kept while it is measured, and with them those of the groups
    /// that share a measurement; the effective weights of all groups are kept until they are
    /// written.
    fn measure_bytes(&self, dataset: &Dataset) -> u64 {
        const KEPT: usize = 3;
        let single = dataset.entity_length == 1;
        let queries = dataset.groups.iter().map(|group| group.queries.len());
        let largest = queries.clone().max().unwrap_or(0);
        let logits = product(&[dataset.vocab, largest, size_of::<f32>(), KEPT]);
        if !(self.spec.probe.effective_weights && single) {
            return logits;
        }
        // Two contexts, each as numbers and as the bytes of a file.
        let weights = queries.map(|n| product(&[n, n, size_of::<f32>(), 4]));
        weights.fold(0, u64::saturating_add).max(logits)
    }

    pub(crate) fn products(&self) -> ProductPrecision {
        match self.spec.precision {
            Precision::F32 | Precision::F64 => ProductPrecision::Full,
            Precision::Bf16 => ProductPrecision::Bf16,
        }
    }
}

/// Sentences and questions, with the headers of their vectors.
fn data_bytes(dataset: &Dataset, training_set: &TrainingSet) -> u64 {
    const VECTOR: usize = 40;
    const QUERY: usize = 8 * VECTOR;
    let sentences = dataset.sentences().map(|(_, tokens)| tokens.len());
    let trained = training_set.sentences.iter().map(|sentence| sentence.tokens.len());
    let of_sentences: usize = sentences.chain(trained).map(|tokens| VECTOR + 4 * tokens).sum();
    let queries: usize = dataset.groups.iter().map(|group| group.queries.len()).sum();
    (of_sentences + QUERY * queries) as u64
}

/// Resources with which the runs fit in memory.
#[derive(Debug, Clone)]
pub struct Fit {
    /// Fewer runs at a time than before where needed.
    pub resources: Resources,
    /// Why there are fewer.
    pub warning: Option<String>,
}

/// Experiments whose memory is predicted: of a sweep with more, the largest.
const MOST_PREDICTED: usize = 64;

/// Compares the memory of the unfinished runs of `jobs` with what is free: fewer at a time where not
/// all that would run together fit.
///
/// # Errors
/// [`MemoryError`] if one does not fit alone.
pub fn fit(jobs: &[Job<'_>], store: &Store, resources: Resources) -> Result<Fit, MemoryError> {
    let Some(have) = [free(), resources.memory].into_iter().flatten().min() else {
        return Ok(Fit { resources, warning: None });
    };
    let mut fit = Fit { resources, warning: None };
    let is_large = |job: &&Job<'_>| job.experiment.step_flops() >= SHARED_STEP;
    let (large, small): (Vec<_>, Vec<_>) = jobs.iter().partition(is_large);
    for class in [large, small] {
        fit_class(&class, store, have, &mut fit)?;
    }
    Ok(fit)
}

/// As [`fit`], for runs that are made alike.
fn fit_class(
    jobs: &[&Job<'_>],
    store: &Store,
    have: u64,
    fit: &mut Fit,
) -> Result<(), MemoryError> {
    let Some(first) = jobs.first() else { return Ok(()) };
    let (at_once, threads) = fit.resources.divide(first.experiment.step_flops(), jobs.len());
    let mut experiments: Vec<&Experiment> = Vec::new();
    for job in jobs {
        // Those of one experiment follow each other.
        if !experiments.last().is_some_and(|last| std::ptr::eq(*last, job.experiment)) {
            experiments.push(job.experiment);
        }
    }
    let size = |of: &&Experiment| (of.network.parameter_count() as u64, of.step_flops());
    experiments.sort_by_cached_key(|of| std::cmp::Reverse(size(of)));
    let mut needs: Vec<(RunBytes, &Experiment)> = Vec::new();
    for experiment in experiments.into_iter().take(MOST_PREDICTED) {
        let unfinished = |job: &&&Job<'_>| {
            let name = &experiment.spec.name;
            std::ptr::eq(job.experiment, experiment)
                && !store
                    .run_dir(name, experiment.hash, job.seed)
                    .is_ok_and(|folder| folder.is_complete())
        };
        let runs = jobs.iter().filter(unfinished).take(at_once).count();
        if runs > 0 {
            // A data set that cannot be made is an error of the run.
            let bytes = experiment.memory(threads).unwrap_or_default();
            needs.extend(std::iter::repeat_n((bytes, experiment), runs));
        }
    }
    needs.sort_by_key(|(bytes, _)| std::cmp::Reverse(bytes.total()));
    let Some((largest, experiment)) = needs.first() else { return Ok(()) };
    let fitting = fitting(needs.iter().map(|(bytes, _)| bytes.total()), at_once, have);
    if fitting == 0 {
        let remedy = largest.remedy(&experiment.network).to_owned();
        let what = format!("a run of `{}`", experiment.spec.name);
        return Err(MemoryError { what, need: largest.total(), have, remedy });
    }
    if fitting < at_once.min(needs.len()) {
        fit.warning = Some(format!(
            "{fitting} {} at a time, not {at_once}: one needs up to {} of memory, and {} is free",
            if fitting == 1 { "run" } else { "runs" },
            Size(largest.total()),
            Size(have)
        ));
        fit.resources.jobs = NonZeroUsize::new(fitting);
    }
    Ok(())
}

/// How many runs fit together, at most `at_once`; `needs` begins with the largest.
pub(crate) fn fitting(needs: impl Iterator<Item = u64>, at_once: usize, have: u64) -> usize {
    let sums = needs.scan(0_u64, |sum, need| {
        *sum = sum.saturating_add(need);
        Some(*sum)
    });
    sums.take(at_once).take_while(|sum| *sum <= have).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_runs_as_fit() {
        let fitting = |needs: &[u64], at_once, have| fitting(needs.iter().copied(), at_once, have);
        assert_eq!(fitting(&[4, 3, 2], 2, 100), 2);
        assert_eq!(fitting(&[4, 3, 2], 2, 6), 1);
        assert_eq!(fitting(&[4, 3, 2], 3, 7), 2);
        assert_eq!(fitting(&[4, 3, 2], 3, 3), 0);
        assert_eq!(fitting(&[u64::MAX, u64::MAX], 2, u64::MAX - 1), 0);
    }
}
