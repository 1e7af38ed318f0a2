//! A spec made ready to run: the data set's configuration, the decoder, the objective. Everything
//! that could be refused is refused here, before any training starts.

use retrodict_engine::{ProductPrecision, Rule};
use retrodict_facts::{
    ChainConfig, DataConfig, Dataset, FactsError, HoldOut, IclConfig, RelatedConfig, ReversalConfig,
};
use retrodict_models::{
    Decoder, LossOn, ModelError, Objective, PositionEncoding, Trainer, TrainerOptions,
};
use thiserror::Error;

use crate::spec::{self, BatchSize, DataKind, Optimizer, Position, Precision, Spec, SpecHash};
use crate::store::RunSeeds;

/// AdamW's and Adam's ε, PyTorch's default.
const OPTIMIZER_EPSILON: f64 = 1e-8;

/// A spec that reads well but cannot be run.
#[derive(Debug, Error)]
pub enum ExperimentError {
    /// The data set is impossible.
    #[error("{origin}: data.{source}")]
    Data {
        /// The spec, as the user named it.
        origin: String,
        /// Which size, and what would fit.
        source: FactsError,
    },
    /// The model is impossible.
    #[error("{origin}: model.{source}")]
    Model {
        /// The spec, as the user named it.
        origin: String,
        /// Which size, and what would be right.
        source: ModelError,
    },
    /// NumPy's generator takes 32 bits.
    #[error("{origin}: the data set's seed is {seed}, but must be at most {}", u32::MAX)]
    Seed {
        /// The spec, as the user named it.
        origin: String,
        /// The seed.
        seed: u64,
    },
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
    pub decoder: Decoder,
    /// What is asked of it.
    pub objective: Objective,
}

impl Experiment {
    /// Checks everything that the spec alone decides. `origin` is what the user calls the spec.
    ///
    /// # Errors
    /// [`ExperimentError`] names the key, what it was and what would be right.
    pub fn new(spec: Spec, origin: &str) -> Result<Experiment, ExperimentError> {
        let data = data_config(&spec.data.kind);
        let origin = || origin.to_owned();
        data.validate().map_err(|source| ExperimentError::Data { origin: origin(), source })?;
        let objective = Objective {
            sentence_length: data.sentence_length(),
            entity_length: data.entity_length(),
            loss_on: match spec.train.loss_on {
                spec::LossOn::LastEntity => LossOn::LastEntity,
                spec::LossOn::Sequence => LossOn::Sequence,
            },
        };
        let decoder = Decoder {
            layers: spec.model.layers,
            heads: spec.model.heads,
            dim: spec.model.dim,
            vocab: data.vocab(),
            positions: objective.sentence_length,
            position: match spec.model.position {
                Position::None => PositionEncoding::None,
                Position::Absolute => PositionEncoding::Absolute,
                Position::Rotary => {
                    PositionEncoding::Rotary { fraction: spec.model.rotary_fraction }
                }
            },
            dropout: spec.model.dropout,
            tie_head: spec.model.tie_head,
            freeze_embeddings: spec.model.freeze_embeddings,
        };
        decoder.validate().map_err(|source| ExperimentError::Model { origin: origin(), source })?;
        for &seed in &spec.seeds {
            let seed = spec.data.seed.unwrap_or(seed);
            if u32::try_from(seed).is_err() {
                return Err(ExperimentError::Seed { origin: origin(), seed });
            }
        }
        Ok(Experiment { hash: spec.hash(), spec, data, decoder, objective })
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
    /// As [`DataConfig::generate`].
    pub fn dataset(&self, run: u64) -> Result<Dataset, FactsError> {
        // `new` has checked the seeds of the spec; a larger one wraps nowhere but here.
        self.data.generate(u32::try_from(self.seeds(run).data).unwrap_or(u32::MAX))
    }

    /// How many tokens the run with this seed trains on in an epoch.
    ///
    /// # Errors
    /// As [`DataConfig::generate`].
    pub fn training_tokens(&self, run: u64) -> Result<usize, FactsError> {
        Ok(self.dataset(run)?.train.iter().map(Vec::len).sum())
    }

    /// A freshly drawn model.
    pub fn trainer<T: retrodict_engine::Scalar>(&self, run: u64, threads: usize) -> Trainer<T> {
        let (train, seeds) = (&self.spec.train, self.seeds(run));
        let (betas, epsilon) = (train.betas, OPTIMIZER_EPSILON);
        let options = TrainerOptions {
            rule: match train.optimizer {
                Optimizer::AdamW => Rule::AdamW { betas, epsilon },
                Optimizer::Adam => Rule::Adam { betas, epsilon },
                Optimizer::Sgd => Rule::Sgd,
            },
            rate: train.lr,
            weight_decay: train.weight_decay,
            init_seed: seeds.init,
            noise_seed: seeds.order,
            threads,
        };
        let products = match self.spec.precision {
            Precision::F32 | Precision::F64 => ProductPrecision::Full,
            Precision::Bf16 => ProductPrecision::Bf16,
        };
        Trainer::new(&self.decoder, self.objective, &options).with_products(products)
    }

    /// Sentences of a full batch, of `sentences` to train on.
    pub fn batch_size(&self, sentences: usize) -> usize {
        match self.spec.train.batch_size {
            BatchSize::Sentences(size) => size.min(sentences),
            BatchSize::Full => sentences,
        }
    }

    /// About how many multiplications and additions a training step takes: six for each parameter
    /// and token, forward and backward.
    pub fn step_flops(&self) -> u64 {
        let batch = match self.spec.train.batch_size {
            BatchSize::Sentences(size) => size,
            BatchSize::Full => 64,
        };
        let tokens = (batch * (self.objective.sentence_length - 1)) as u64;
        6 * self.decoder.parameter_count() as u64 * tokens
    }

    /// Bytes that parameters, gradients and moments take.
    pub fn state_bytes(&self) -> usize {
        let number = match self.spec.precision {
            Precision::F32 | Precision::Bf16 => 4,
            Precision::F64 => 8,
        };
        let moments = if self.spec.train.optimizer == Optimizer::Sgd { 0 } else { 2 };
        self.decoder.parameter_count() * number * (2 + moments)
    }
}

fn data_config(kind: &DataKind) -> DataConfig {
    match *kind {
        DataKind::Reversal { vocab_size, entity_length, train_fraction } => {
            DataConfig::Reversal(ReversalConfig { vocab_size, entity_length, train_fraction })
        }
        DataKind::Chain { vocab_size, entity_length, train_fraction } => {
            DataConfig::Chain(ChainConfig { vocab_size, entity_length, train_fraction })
        }
        DataKind::Icl { vocab_size, entities, attributes, train_fraction, hold_out } => {
            let hold_out = match hold_out {
                spec::HoldOut::Sentences => HoldOut::Sentences,
                spec::HoldOut::Entities => HoldOut::Entities,
            };
            DataConfig::Icl(IclConfig {
                vocab_size,
                entities,
                attributes,
                train_fraction,
                hold_out,
            })
        }
        DataKind::Related { vocab_size, tokens, train, held_out } => {
            DataConfig::Related(RelatedConfig { vocab_size, tokens, train, held_out })
        }
    }
}
