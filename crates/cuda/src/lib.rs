//! Training on an NVIDIA GPU.
//!
//! The engine [lowers](retrodict_engine::lower::Lowered) a compiled plan to launches of kernels. This crate
//! has the kernels, in CUDA C, and their PTX, which the driver compiles for its GPU: users need the
//! driver and nothing else. A step is a graph of launches, replayed; seeds that run equal programs
//! share the launches, one to each layer of the grid.
//!
//! Results do not depend on the seeds that share a launch: no sum is shared between seeds, and none
//! uses atomics.

mod buffer;
mod driver;
mod gpu;
mod group;
mod profile;
mod session;

pub use gpu::Gpu;

/// The PTX of all kernels, for compute capability 8.0 and later.
pub const PTX: &str = include_str!("../kernels/kernels.ptx");
