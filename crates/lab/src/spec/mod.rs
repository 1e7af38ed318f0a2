//! What an experiment is: its spec, read from TOML and refused with one clear
//! message where it is wrong.
//!
//! ```
//! use retrodict_lab::spec::Spec;
//!
//! let spec = Spec::parse("[data]\nkind = \"chain\"", "mine.toml")?;
//! assert_eq!(spec.name, "mine");
//! assert_eq!(spec.model.layers, 2);
//!
//! let error = Spec::parse_with("data.kind = \"chain\"", "mine.toml", &[("model.layer", "4")]);
//! assert_eq!(
//!     error.unwrap_err().to_string(),
//!     "--set model.layer=4: unknown key `model.layer`; did you mean `model.layers`?"
//! );
//! # Ok::<(), retrodict_lab::spec::SpecError>(())
//! ```

mod check;
mod document;
mod error;
mod hash;
mod keys;
mod keyword;
mod read;
mod ready;
mod seeds;
mod words;
mod write;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use retrodict_facts::{DataConfig, Recipe};
use retrodict_models::{Attended, Design, LrDecay};

pub use error::{Location, Problem, SpecError};
pub use hash::{NotAHash, SpecHash};
pub use keyword::Keyword;
use keyword::keywords;
pub use ready::{READY, UnknownReady, ready};
pub use seeds::{LARGEST_SEED, MOST_SEEDS, SeedsError, parse_seeds};

/// Largest spec file that is read, in bytes.
const LARGEST_FILE: u64 = 1 << 20;

/// An experiment, every default filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The experiment's name, a folder of the run store; the file's stem where
    /// it is not given.
    pub name: String,
    /// The seeds it is run with; none twice.
    pub seeds: Vec<u64>,
    /// The numbers that train.
    pub precision: Precision,
    /// What there is to learn.
    pub data: DataSpec,
    /// What learns it.
    pub model: ModelSpec,
    /// How it is trained.
    pub train: TrainSpec,
    /// What is asked of it.
    pub objective: ObjectiveSpec,
    /// What is watched while it trains.
    pub probe: ProbeSpec,
    /// What is kept of it.
    pub checkpoint: CheckpointSpec,
}

/// `[data]`: what there is to learn.
#[derive(Debug, Clone, PartialEq)]
pub struct DataSpec {
    /// The kind of sentences, with its sizes.
    pub kind: DataConfig,
    /// What is made of the sentences before they are trained on, in order.
    pub recipes: Vec<Recipe>,
    /// Seed of the data set; the run's seed where it is not given.
    pub seed: Option<u64>,
}

/// `[model]`: what learns.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSpec {
    /// The architecture.
    pub kind: ModelKind,
    /// Blocks of attention and MLP.
    pub layers: usize,
    /// Heads of a block; they divide `dim`.
    pub heads: usize,
    /// Embedding dimension.
    pub dim: usize,
    /// How positions are told apart.
    pub position: Position,
    /// The part of each head's dimensions that is rotated, above 0 and up to 1; the default
    /// unless the position is [`Position::Rotary`].
    pub rotary_fraction: f64,
    /// Dropout on embeddings, attention and residuals while training, in [0, 1).
    pub dropout: f64,
    /// Whether the output head is the token embedding itself.
    pub tie_head: bool,
    /// Whether token and position embeddings stay as they were drawn.
    pub freeze_embeddings: bool,
    /// Where a decoder is not GPT-2. Of a one-layer model, whether value and output are one matrix.
    pub design: Design,
    /// Which tokens a one-layer model attends to.
    pub context: Attended,
}

/// `[train]`: how it is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSpec {
    /// The optimizer.
    pub optimizer: Optimizer,
    /// Learning rate; the highest, if it changes.
    pub lr: f64,
    /// What becomes of the learning rate behind the warm-up.
    pub schedule: LrDecay,
    /// Steps in which the learning rate rises.
    pub warmup: u64,
    /// Decay of every parameter, biases and LayerNorm included.
    pub weight_decay: f64,
    /// Decay rates of the two moments; the default under [`Optimizer::Sgd`],
    /// which has none.
    pub betas: [f64; 2],
    /// Momentum of [`Optimizer::Sgd`] and [`Optimizer::Muon`]; 0 under the others.
    pub momentum: f64,
    /// Sentences of a step.
    pub batch_size: BatchSize,
    /// Passes over the training sentences.
    pub epochs: u64,
    /// Which tokens are scored.
    pub loss_on: LossOn,
    /// Seed of the initial weights; the run's seed where it is not given.
    pub init_seed: Option<u64>,
    /// Seed of the order of batches (and of dropout); the run's seed where it
    /// is not given.
    pub order_seed: Option<u64>,
}

/// `[objective]`: what is asked. Strengths weigh a term beside the loss on sentences; 0 is none.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectiveSpec {
    /// How sentences are read.
    pub reading: ReadingName,
    /// What is made of the logits and the right token.
    pub loss: LossName,
    /// ε of label smoothing, γ of the focal loss, the margin; 0 of cross-entropy.
    pub loss_parameter: f64,
    /// Strength of predicting the token after the next with a head of its own.
    pub ahead: f64,
    /// Strength of the contrastive term.
    pub contrastive: f64,
    /// What its cosines are divided by.
    pub temperature: f64,
    /// Strength of the symmetry of logits.
    pub symmetry: f64,
    /// Whether logits are taken with the relation token in the context, or after the entity alone.
    pub symmetry_in_context: bool,
    /// Strength of the squares of all parameters.
    pub squares: f64,
    /// Strength of the squared difference between head and token table.
    pub soft_tie: f64,
    /// Strength of the asymmetric part of square hidden matrices.
    pub antisymmetry: f64,
    /// Strength of the nuclear norms of hidden matrices.
    pub nuclear_norm: f64,
    /// Strength of the spectral norms of hidden matrices.
    pub spectral_norm: f64,
}

impl ObjectiveSpec {
    /// Whether anything is added to the loss on sentences.
    pub fn has_terms(&self) -> bool {
        [
            self.ahead,
            self.contrastive,
            self.symmetry,
            self.squares,
            self.soft_tie,
            self.antisymmetry,
            self.nuclear_norm,
            self.spectral_norm,
        ]
        .iter()
        .any(|strength| *strength > 0.0)
    }
}

/// Sentences of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    /// So many; the last batch of an epoch may be smaller.
    Sentences(usize),
    /// All training sentences.
    Full,
}

/// `[probe]`: what is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeSpec {
    /// Epochs between two probes; `None` for one at the end only.
    pub every: Option<u64>,
    /// Whether effective weights are probed.
    pub effective_weights: bool,
}

/// `[checkpoint]`: what is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointSpec {
    /// Epochs between two checkpoints; `None` for none on the way.
    pub every: Option<u64>,
    /// Single steps that are kept too, rising.
    pub at: Vec<u64>,
    /// Whether the trained model is kept.
    pub last: bool,
}

keywords! {
    /// The numbers that train.
    Precision {
        /// Single precision.
        F32 = "f32",
        /// Double precision: oracles and theory-grade runs.
        F64 = "f64",
        /// Single precision, but for the operands of matrix products: these are rounded to bf16.
        /// Weights, optimiser and checkpoints are those of [`Precision::F32`].
        Bf16 = "bf16",
    }
}

keywords! {
    /// A kind of data set, without its sizes.
    DataName {
        /// [`DataConfig::Reversal`].
        Reversal = "reversal",
        /// [`DataConfig::Chain`].
        Chain = "chain",
        /// [`DataConfig::Icl`].
        Icl = "icl",
        /// [`DataConfig::Related`].
        Related = "related",
        /// [`DataConfig::Relations`].
        Relations = "relations",
        /// [`DataConfig::Family`].
        Family = "family",
        /// [`DataConfig::Hops`].
        Hops = "hops",
        /// [`DataConfig::Biographies`].
        Biographies = "biographies",
        /// [`DataConfig::OneToMany`].
        OneToMany = "one-to-many",
    }
}

keywords! {
    /// An architecture.
    ModelKind {
        /// The GPT-2 decoder, or what its design makes of it.
        Decoder = "decoder",
        /// The paper's bilinear model: embeddings fixed, the first token read alone.
        Bilinear = "bilinear",
        /// The paper's one-layer transformer with even attention.
        OneLayer = "one-layer",
    }
}

keywords! {
    /// How a decoder tells positions apart.
    Position {
        /// Not at all.
        None = "none",
        /// Learned embeddings added to the tokens'.
        Absolute = "absolute",
        /// Queries and keys rotated (the paper's "relative").
        Rotary = "rotary",
    }
}

keywords! {
    /// An optimizer.
    Optimizer {
        /// Adam with decoupled weight decay.
        AdamW = "adamw",
        /// Adam, weight decay added to the gradient.
        Adam = "adam",
        /// Gradient descent, with momentum or without.
        Sgd = "sgd",
        /// The sign of a momentum (Chen et al., 2023).
        Lion = "lion",
        /// Orthogonalised momentum for hidden matrices, AdamW for all others (Jordan, 2024).
        Muon = "muon",
    }
}

keywords! {
    /// How sentences are read.
    ReadingName {
        /// From left to right.
        NextToken = "next-token",
        /// All at once, some tokens masked, at every rate.
        Masked = "masked",
        /// From left to right, in a new order each time.
        Permuted = "permuted",
    }
}

keywords! {
    /// A loss on one prediction.
    LossName {
        /// −ln p of the right token.
        CrossEntropy = "cross-entropy",
        /// Cross-entropy with a part ε of the target spread evenly.
        LabelSmoothing = "label-smoothing",
        /// −(1 − p)^γ ln p.
        Focal = "focal",
        /// By how much the best wrong logit comes nearer than the margin.
        Margin = "margin",
    }
}

keywords! {
    /// Which tokens of a sentence are scored.
    LossOn {
        /// The last entity's.
        LastEntity = "last_entity",
        /// All but the first.
        Sequence = "sequence",
    }
}

impl Spec {
    /// The spec that `text` holds. `origin` is what the user calls the file: it
    /// begins every message, and its stem names an experiment that has no name.
    pub fn parse(text: &str, origin: &str) -> Result<Self, SpecError> {
        Self::parse_with(text, origin, &[])
    }

    /// [`Spec::parse`] with single keys overridden, in order: `("model.layers", "2")`.
    /// A value is read as TOML, and as a bare string where it is none.
    pub fn parse_with(
        text: &str,
        origin: &str,
        overrides: &[(&str, &str)],
    ) -> Result<Self, SpecError> {
        let (entries, found) = document::read(text, origin, overrides)?;
        read::spec(entries, found, origin)
    }

    /// [`Spec::parse_with`] on a file.
    pub fn load(path: &Path, overrides: &[(&str, &str)]) -> Result<Self, SpecError> {
        let origin = path.display().to_string();
        let refuse = |problem| {
            let origin = origin.clone();
            SpecError::new(Location::Spec { origin }, problem)
        };
        let read = || {
            let mut text = Vec::new();
            let file = File::open(path)?;
            // One byte more than allowed, so that a pipe without end is seen as too large.
            file.take(LARGEST_FILE + 1).read_to_end(&mut text)?;
            Ok(text)
        };
        let bytes = read().map_err(|error| refuse(Problem::Read(error)))?;
        if bytes.len() as u64 > LARGEST_FILE {
            let limit = LARGEST_FILE;
            return Err(refuse(Problem::TooLarge { limit }));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| refuse(Problem::Syntax("the file is not UTF-8 text".to_owned())))?;
        Self::parse_with(&text, &origin, overrides)
    }

    /// Everything that decides the numbers, as one short name: `[data]`,
    /// `[model]`, `[train]`, `[objective]`, `[probe]` and the precision, all defaults filled in.
    /// The name, the seeds and `[checkpoint]` do not count, nor does how the
    /// spec is written.
    pub fn hash(&self) -> SpecHash {
        SpecHash::of(self)
    }

    /// The whole resolved spec as TOML: it reads back to an equal spec.
    pub fn to_toml(&self) -> String {
        write::toml(self)
    }
}
