//! Runs on a GPU: which of them, and how many at a time.

mod bench;

use std::fmt::{self, Debug, Formatter};

pub(crate) use bench::bench;
pub use retrodict_engine::lower::{Device, DeviceError, KernelTime, Timing};

use retrodict_engine::lower::OnDevice;
use retrodict_models::DeviceBytes;
use thiserror::Error;

use crate::experiment::Experiment;
use crate::memory;
use crate::run_all::{Job, Resources, SHARED_STEP};
use crate::spec::Precision;

/// A GPU, and the runs that are made on it.
#[derive(Clone, Copy)]
pub struct GpuUse {
    /// The GPU.
    pub device: &'static dyn Device,
    /// Whether only those runs are made on it that it can make, and of which a step is large enough.
    pub only_where_it_pays: bool,
}

impl Debug for GpuUse {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("GpuUse")
            .field("device", &self.device.name())
            .field("only_where_it_pays", &self.only_where_it_pays)
            .finish()
    }
}

/// Why runs cannot be made on a GPU.
#[derive(Debug, Error)]
pub enum GpuError {
    /// An operation, the optimiser or the precision.
    #[error("`{name}` cannot run on a GPU: {why}; use --device cpu")]
    NotAvailable {
        /// The experiment.
        name: String,
        /// The operation, optimiser or precision that is not available.
        why: String,
    },
    /// One seed needs more memory than there is.
    #[error(
        "one seed of `{name}` needs {} of GPU memory, and {} is free; lower model.dim, \
         model.layers or train.batch_size, or use --device cpu",
        memory::Size(*need), memory::Size(*free)
    )]
    Memory {
        /// The experiment.
        name: String,
        /// Bytes for one seed.
        need: u64,
        /// Free bytes.
        free: u64,
    },
    /// The GPU failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Bytes of device memory that are left free: the driver's own, and fragments.
const SPARE: u64 = 512 << 20;

impl GpuUse {
    /// The memory of one seed; an error if the GPU cannot make the runs.
    fn bytes(&self, experiment: &Experiment) -> Result<DeviceBytes, GpuError> {
        let name = || experiment.spec.name.clone();
        if experiment.spec.precision == Precision::F64 {
            let why = "f64 is not available on a GPU".to_owned();
            return Err(GpuError::NotAvailable { name: name(), why });
        }
        let bytes = experiment.device_bytes();
        bytes.map_err(|why| GpuError::NotAvailable { name: name(), why })
    }

    /// Whether the runs of an experiment are made on the GPU.
    ///
    /// # Errors
    /// [`GpuError`] if they should be and cannot.
    pub fn takes(&self, experiment: &Experiment) -> Result<bool, GpuError> {
        if self.only_where_it_pays {
            return Ok(experiment.step_flops() >= SHARED_STEP && self.at_once(experiment).is_ok());
        }
        self.at_once(experiment).map(|_| true)
    }

    /// How many seeds fit in its memory at a time, at least one.
    ///
    /// # Errors
    /// As [`takes`](GpuUse::takes).
    pub fn at_once(&self, experiment: &Experiment) -> Result<usize, GpuError> {
        let DeviceBytes { seed: need, .. } = self.bytes(experiment)?;
        let free = self.device.free_bytes()?;
        let fit = free.saturating_sub(SPARE.min(free / 8)) / need.max(1);
        match usize::try_from(fit).unwrap_or(usize::MAX) {
            0 => Err(GpuError::Memory { name: experiment.spec.name.clone(), need, free }),
            fit => Ok(fit),
        }
    }

    /// Places for so many seeds.
    pub(crate) fn seats(&self, count: usize) -> Result<Vec<Box<dyn OnDevice<f32>>>, DeviceError> {
        self.device.seeds(count)
    }
}

/// Checks before anything starts that the GPU can make the runs that it should.
///
/// # Errors
/// [`GpuError`] names the first experiment that it cannot, and why.
pub fn check(jobs: &[Job<'_>], resources: &Resources) -> Result<(), GpuError> {
    let Some(gpu) = resources.gpu else { return Ok(()) };
    let mut last: Option<&Experiment> = None;
    for job in jobs {
        // Those of one experiment follow each other.
        if !last.is_some_and(|last| std::ptr::eq(last, job.experiment)) {
            gpu.takes(job.experiment)?;
            last = Some(job.experiment);
        }
    }
    Ok(())
}
