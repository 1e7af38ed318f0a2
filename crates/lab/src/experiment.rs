//! A spec ready to run: the data set's configuration, the network, the objective. All errors in it
//! are found here, before training starts.

mod objective;

use retrodict_facts::{DataConfig, Dataset, FactsError, RecipeError, TrainingSet, recipe};
use retrodict_models::{
    Example, LrSchedule, ModelError, Network, Objective, Trainer, TrainerOptions,
};
use thiserror::Error;

use crate::memory::product;
use crate::spec::{BatchSize, Spec, SpecHash};
use crate::store::RunSeeds;

/// A spec that is well-formed but cannot be run.
#[derive(Debug, Error)]
pub enum ExperimentError {
    /// The data set is impossible.
    #[error("{origin}: data.{source}")]
    Data {
        /// The spec's name as the user gave it.
        origin: String,
        /// The size, and what would fit.
        source: FactsError,
    },
    /// The model is impossible.
    #[error("{origin}: model.{source}")]
    Model {
        /// The spec's name as the user gave it.
        origin: String,
        /// The size, and what would be right.
        source: ModelError,
    },
    /// A recipe that does not apply to the data.
    #[error("{origin}: data.recipes: {source}")]
    Recipe {
        /// The spec's name as the user gave it.
        origin: String,
        /// The recipe, and what it needs.
        source: RecipeError,
    },
    /// Two settings that exclude each other.
    #[error("{origin}: {problem}")]
    Clash {
        /// The spec's name as the user gave it.
        origin: String,
        /// The keys, their values and what would be right.
        problem: String,
    },
    /// NumPy's generator takes 32 bits.
    #[error("{origin}: the data set's seed is {seed}, but must be at most {}", u32::MAX)]
    Seed {
        /// The spec's name as the user gave it.
        origin: String,
        /// The seed.
        seed: u64,
    },
}

/// The steps of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// Sentences of a full batch.
    pub batch_size: usize,
    /// Steps of an epoch; the last batch may be smaller.
    pub per_epoch: u64,
    /// Steps of all epochs.
    pub total: u64,
}

/// An experiment that can be run.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The resolved spec.
    pub spec: Spec,
    /// Its hash.
    pub hash: SpecHash,
    /// The data set.
    pub data: DataConfig,
    /// The model.
    pub network: Network,
    /// The objective, except the parts that depend on the data set of a seed.
    pub objective: Objective,
}

impl Experiment {
    /// Checks everything that depends only on the spec. `origin` is the spec's name as the user
    /// gave it.
    ///
    /// # Errors
    /// [`ExperimentError`] names the key, its value and what would be right.
    pub fn new(spec: Spec, origin: &str) -> Result<Experiment, ExperimentError> {
        let experiment = Self::stored(spec, origin)?;
        let clash = |problem| ExperimentError::Clash { origin: origin.to_owned(), problem };
        experiment.check_steps().map_err(clash)?;
        Ok(experiment)
    }

    /// [`Experiment::new`] of a spec that has run: early versions accepted a warm-up and checkpoints
    /// beyond the last step.
    ///
    /// # Errors
    /// As [`Experiment::new`].
    pub fn stored(spec: Spec, origin: &str) -> Result<Experiment, ExperimentError> {
        let data = spec.data.kind.clone();
        let origin = || origin.to_owned();
        data.validate().map_err(|source| ExperimentError::Data { origin: origin(), source })?;
        let size = recipe::training_set_size(&spec.data.recipes, &data)
            .map_err(|source| ExperimentError::Recipe { origin: origin(), source })?;
        let clash = |problem| ExperimentError::Clash { origin: origin(), problem };
        objective::check(&spec, &data).map_err(clash)?;
        let objective = objective::objective(&spec, &data, size);
        let network = spec
            .model
            .network(objective.vocab(size.vocab), objective.pack * objective.sentence_length);
        network.validate().map_err(|source| ExperimentError::Model { origin: origin(), source })?;
        for &seed in &spec.seeds {
            let seed = spec.data.seed.unwrap_or(seed);
            if u32::try_from(seed).is_err() {
                return Err(ExperimentError::Seed { origin: origin(), seed });
            }
        }
        Ok(Experiment { hash: spec.hash(), spec, data, network, objective })
    }

    /// Refuses a warm-up or checkpoints beyond the last step, where they would have no effect.
    fn check_steps(&self) -> Result<(), String> {
        let (train, at) = (&self.spec.train, &self.spec.checkpoint.at);
        let (Some(seed), last) = (self.spec.seeds.first(), at.last().copied().unwrap_or(0)) else {
            return Ok(());
        };
        if train.warmup == 0 && last == 0 {
            return Ok(());
        }
        let Ok(steps) = self.steps_of(*seed) else { return Ok(()) };
        let total = steps.total;
        if train.warmup >= total {
            let warmup = train.warmup;
            return Err(format!(
                "`train.warmup` = {warmup} must be below the number of steps, {total}"
            ));
        }
        if last > total {
            return Err(format!(
                "`checkpoint.at` has step {last}, which is beyond the last step, {total}"
            ));
        }
        Ok(())
    }

    /// All seeds of the run with this seed.
    pub fn seeds(&self, run: u64) -> RunSeeds {
        RunSeeds {
            run,
            data: self.spec.data.seed.unwrap_or(run),
            init: self.spec.train.init_seed.unwrap_or(run),
            order: self.spec.train.order_seed.unwrap_or(run),
        }
    }

    /// The data set of the run with this seed.
    ///
    /// # Errors
    /// As [`DataKind::generate`](retrodict_facts::DataKind::generate).
    pub fn dataset(&self, run: u64) -> Result<Dataset, FactsError> {
        // `new` has checked the seeds of the spec; only here could a larger one wrap.
        self.data.generate(u32::try_from(self.seeds(run).data).unwrap_or(u32::MAX))
    }

    /// The sentences that the run with this seed is trained on.
    pub fn training_set(&self, run: u64, dataset: &Dataset) -> TrainingSet {
        let seed = u32::try_from(self.seeds(run).data).unwrap_or(u32::MAX);
        recipe::apply(&self.spec.data.recipes, dataset, seed)
    }

    /// Whether probes are taken after an epoch: every few, as the spec says, and after the last.
    pub(crate) fn probes_after(&self, epoch: u64) -> bool {
        let every = self.spec.probe.every.is_some_and(|every| epoch.is_multiple_of(every));
        every || epoch == self.spec.train.epochs
    }

    /// Training tokens per epoch of the run with this seed.
    ///
    /// # Errors
    /// As [`DataKind::generate`](retrodict_facts::DataKind::generate).
    pub fn training_tokens(&self, run: u64) -> Result<usize, FactsError> {
        Ok(self.training_set(run, &self.dataset(run)?).tokens())
    }

    /// The initial model, for training on a data set of this experiment.
    pub fn trainer<T: retrodict_engine::Scalar>(
        &self,
        run: u64,
        dataset: &Dataset,
        threads: usize,
    ) -> Trainer<T> {
        let (train, seeds) = (&self.spec.train, self.seeds(run));
        let training_set = self.training_set(run, dataset);
        let options = TrainerOptions {
            rule: train.optimizer,
            rate: train.lr,
            weight_decay: train.weight_decay,
            decay_norms: train.decay_norms,
            clip: train.clip,
            init_seed: seeds.init,
            noise_seed: seeds.order,
            threads,
            schedule: LrSchedule {
                warmup: train.warmup,
                steps: self.steps(&training_set).total,
                decay: train.schedule,
            },
        };
        let objective = self.objective_of(dataset, &training_set);
        Trainer::new(&self.network, objective, &options).with_products(self.products())
    }

    /// The objective with the parts that depend on the data set.
    pub(crate) fn objective_of(&self, dataset: &Dataset, training_set: &TrainingSet) -> Objective {
        objective::with_data(&self.objective, &self.spec, dataset, training_set)
    }

    /// The steps of a run over `training_set`, including the sentences that recipes add.
    pub fn steps(&self, training_set: &TrainingSet) -> Steps {
        let sentences = training_set.sentences.len();
        let batch_size = self.batch_size(sentences);
        let per_epoch = sentences.div_ceil(batch_size) as u64;
        Steps { batch_size, per_epoch, total: per_epoch.saturating_mul(self.spec.train.epochs) }
    }

    /// [`Experiment::steps`] of the run with this seed.
    ///
    /// # Errors
    /// As [`DataKind::generate`](retrodict_facts::DataKind::generate).
    pub fn steps_of(&self, run: u64) -> Result<Steps, FactsError> {
        Ok(self.steps(&self.training_set(run, &self.dataset(run)?)))
    }

    /// Sentences of a full batch, out of `sentences`.
    pub fn batch_size(&self, sentences: usize) -> usize {
        match self.spec.train.batch_size {
            BatchSize::Sentences(size) => size.min(sentences),
            BatchSize::Full => sentences,
        }
    }

    /// Orders runs by how long they take: the multiplications and additions of one step in every
    /// epoch.
    pub fn work(&self) -> u64 {
        self.step_flops().saturating_mul(self.spec.train.epochs)
    }

    /// Approximate multiplications and additions of a training step: six per parameter and token,
    /// forward and backward.
    pub fn step_flops(&self) -> u64 {
        let batch = match self.spec.train.batch_size {
            BatchSize::Sentences(size) => size,
            BatchSize::Full => 64,
        };
        let tokens = product(&[batch, self.objective.sentence_length - 1]);
        tokens.saturating_mul(self.network.parameter_count() as u64).saturating_mul(6)
    }
}

/// A sentence of a training set as the trainer takes it.
pub fn example(sentence: &retrodict_facts::Sentence) -> Example<'_> {
    Example { tokens: &sentence.tokens, answer: Some(sentence.answer), weight: sentence.weight }
}
