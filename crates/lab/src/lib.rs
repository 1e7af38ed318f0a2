//! Experiments: specs, runs, many runs over the cores, the run store.
//!
//! The user writes a [`Spec`](spec::Spec); an [`Experiment`] is a spec that has been checked; a run
//! is an experiment with one seed. [`run_all`] makes many runs, and [`RunResult::collect`] reads
//! their results from the store.

mod bench;
pub mod binomial;
pub mod bootstrap;
mod by_question;
mod cell;
mod disk;
mod embeddings;
mod experiment;
pub mod export;
pub mod expression;
mod extend;
pub mod gpu;
mod knowledge;
pub mod launch;
pub mod locate;
pub mod maintain;
pub mod map;
pub mod measures;
pub mod memory;
pub mod name;
pub mod probe;
mod progress;
mod reach;
mod result;
mod run;
mod run_all;
pub mod runs;
pub mod spec;
pub mod stats;
pub mod store;
pub mod sweep;

pub use bench::{Bench, BenchError, BenchOptions, PassProfile, StepProfile, bench};
pub use cell::Cell;
pub use embeddings::{EMBEDDING_COSINES, EmbeddingCosines, random_mean_absolute_cosine};
pub use experiment::{Experiment, ExperimentError, Steps, example};
pub use knowledge::{Indexes, Knowledge};
pub use measures::{MEASURES, Measure};
pub use progress::{Progress, Snapshot};
pub use result::{
    RunResult, effective_weight_epochs, effective_weights_at, last_effective_weights,
};
pub use retrodict_dynamics::{Answers, ByQuestion};
pub use retrodict_engine::Isa;
pub use retrodict_settings::{self as settings, nearest};
pub use run::{Outcome, RunOptions, run};
pub use run_all::{Job, Resources, run_all};

/// The version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit of the build, abbreviated, if known.
pub const COMMIT: Option<&str> = option_env!("RETRODICT_COMMIT");
