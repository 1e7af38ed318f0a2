//! The training engine: a model is written once as a [`Graph`] of operations whose shapes are
//! known, compiled for one size of batch into a [`Program`], and then run some ten thousand times.
//! A step allocates nothing, looks nothing up and calls straight into the kernels.
//!
//! The engine does not know about facts: its inputs are whole numbers that index tables, and real
//! numbers. It is generic over [`Scalar`]: `f32` trains; the same code in `f64` is the oracle.
//!
//! Results are bitwise equal for any number of workers: workers share outputs, never the terms of a
//! sum, and every sum has a fixed order.
//!
//! ```
//! use retrodict_engine::*;
//!
//! // Learn which of 5 symbols follows which: logits = W · one-hot.
//! let mut graph = Graph::<f32>::new();
//! let symbols = graph.indices(1);
//! let targets = graph.indices(1);
//! let weights = graph.weights(1);
//! let table = graph.parameter(Parameter::matrix("table", [5, 5], Initial::Constant(0.0)));
//! let logits = graph.embedding(symbols, table, None);
//! let loss = graph.cross_entropy(logits, targets, weights, 0..1);
//! graph.output(loss, 0..1);
//!
//! let mut team = Team::new(1);
//! let precision = ProductPrecision::Full;
//! let mut program = Program::compile(&graph, 2, Mode::Training, precision, team.workers());
//! let mut parameters = Parameters::initial(&graph, 0);
//! let mut gradients = Gradients::zeros(&parameters);
//! let mut optimizer = Optimizer::new(Rule::Sgd(Sgd { momentum: 0.0 }), 1.0, 0.0, &parameters);
//! program.indices_mut(symbols)[..2].copy_from_slice(&[0, 1]);
//! program.indices_mut(targets)[..2].copy_from_slice(&[3, 4]);
//! program.weights_mut(weights)[..2].fill(0.5);
//! for step in 0..100 {
//!     let noise = Noise { seed: 0, step };
//!     program.step(&mut parameters, &mut gradients, &mut optimizer, noise, &mut team);
//! }
//! let nll = program.output(0).lanes(0, 0)[0];
//! assert!(nll < 0.1, "started at ln 5 = 1.6, now {nll}");
//! ```

mod adapter;
pub mod check;
mod exponential;
mod extent;
mod graph;
mod handle;
mod isa;
mod kernels;
mod lanes;
pub mod lower;
mod matmul;
mod matrix;
mod operation;
mod ops;
mod optim;
mod parameter;
mod parameters;
mod place;
mod plan;
mod precision;
mod profile;
mod program;
mod random;
mod roofline;
pub mod rows;
mod scalar;
mod team;
mod thread_tuning;
mod vector;
mod wide;
mod workspace;

pub use adapter::{Adapter, LowRank};
pub use exponential::Constants;
pub use graph::Graph;
pub use handle::{Indices, ParameterId, Value, View, Weights};
pub use isa::{Isa, IsaError};
pub use matmul::matmul;
pub use ops::{
    Activation, Decay, Focal, LabelSmoothing, LossFunction, Margin, Orientation, Penalty, Sees,
};
pub use optim::{Adam, AdamW, Lion, Muon, Optimizer, Rule, Sgd};
pub use parameter::{Initial, Parameter};
pub use parameters::{Gradients, Parameters};
pub use precision::ProductPrecision;
pub use profile::{Pass, Profile};
pub use program::{Mode, Output, Program};
pub use random::{Noise, Purpose, Stream, below};
pub use roofline::Roofline;
pub use scalar::Scalar;
pub use team::{Team, Worker};
pub use thread_tuning::ThreadTuning;
pub use vector::Vector;
pub use workspace::Workspace;
