//! A GPU, with its kernels loaded.

use std::sync::Arc;

use retrodict_engine::lower::{Device, DeviceError, Kernel, Lowered, OnDevice, Timing};

use crate::PTX;
use crate::driver::{CUfunction, Context};
use crate::{group, profile};

/// The first NVIDIA GPU of this machine.
pub struct Gpu(pub(crate) Arc<Loaded>);

/// A context with the kernels of [`PTX`].
pub(crate) struct Loaded {
    pub(crate) context: Context,
    functions: Vec<CUfunction>,
    name: String,
    capability: (i32, i32),
}

// SAFETY: functions are handles, which any thread may launch.
unsafe impl Send for Loaded {}
// SAFETY: as above.
unsafe impl Sync for Loaded {}

/// The least compute capability: bf16 tensor cores begin with Ampere.
const LEAST: (i32, i32) = (8, 0);

impl Gpu {
    /// Opens the GPU and compiles the kernels for it, which the driver keeps for the next time.
    ///
    /// # Errors
    /// [`DeviceError::Absent`] if there is none, or an old one.
    pub fn open() -> Result<Gpu, DeviceError> {
        let context = Context::first()?;
        let (name, capability) = (context.name()?, context.compute_capability()?);
        if capability < LEAST {
            let ((major, minor), (least, _)) = (capability, LEAST);
            return Err(DeviceError::Absent(format!(
                "{name} has compute capability {major}.{minor}; {least}.0 (Ampere) or newer is needed"
            )));
        }
        let functions = context.load(PTX)?;
        Ok(Gpu(Arc::new(Loaded { context, functions, name, capability })))
    }
}

impl Loaded {
    pub(crate) fn function(&self, kernel: Kernel) -> CUfunction {
        self.functions[kernel as usize]
    }
}

impl Device for Gpu {
    fn name(&self) -> String {
        let Loaded { name, capability: (major, minor), .. } = &*self.0;
        format!("{name}, compute capability {major}.{minor}")
    }

    fn isa(&self) -> String {
        let (major, minor) = self.0.capability;
        format!("cuda-sm_{major}{minor}")
    }

    fn free_bytes(&self) -> Result<u64, DeviceError> {
        self.0.context.free_bytes()
    }

    fn seeds(&self, count: usize) -> Result<Vec<Box<dyn OnDevice<f32>>>, DeviceError> {
        let seats = group::seats(&self.0, count)?;
        Ok(seats.into_iter().map(|seat| Box::new(seat) as Box<dyn OnDevice<f32>>).collect())
    }

    fn time(
        &self,
        program: &Arc<Lowered>,
        record: &[u32],
        parameters: &[f32],
        seeds: usize,
        steps: usize,
    ) -> Result<Timing, DeviceError> {
        profile::time(&self.0, program, record, parameters, (seeds, steps))
    }
}
