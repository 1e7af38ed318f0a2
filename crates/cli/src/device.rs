//! The device that runs are made on.

use clap::ValueEnum;
use retrodict_lab::gpu::GpuUse;

use crate::commands::Failure;

/// Where training runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceArg {
    /// The processor
    #[default]
    Cpu,
    /// An NVIDIA GPU
    Cuda,
    /// The GPU, where there is one and a step is large enough for it
    Auto,
}

impl DeviceArg {
    /// The GPU, opened, if runs are made on it.
    pub(crate) fn open(self) -> Result<Option<GpuUse>, Failure> {
        match self {
            DeviceArg::Cpu => Ok(None),
            DeviceArg::Cuda => {
                let device = gpu().map_err(Failure::Usage)?;
                Ok(Some(GpuUse { device, only_where_it_pays: false }))
            }
            DeviceArg::Auto => {
                Ok(gpu().ok().map(|device| GpuUse { device, only_where_it_pays: true }))
            }
        }
    }
}

/// The GPU of this machine, opened once.
#[cfg(feature = "cuda")]
fn gpu() -> Result<&'static dyn retrodict_lab::gpu::Device, String> {
    use std::sync::OnceLock;

    static GPU: OnceLock<Result<retrodict_cuda::Gpu, String>> = OnceLock::new();
    let gpu = GPU.get_or_init(|| {
        retrodict_cuda::Gpu::open().map_err(|error| format!("{error}; use --device cpu"))
    });
    gpu.as_ref().map(|gpu| gpu as _).map_err(Clone::clone)
}

#[cfg(not(feature = "cuda"))]
fn gpu() -> Result<&'static dyn retrodict_lab::gpu::Device, String> {
    Err("this build cannot use a GPU: build it with `cargo build --release --features cuda`, or \
         use --device cpu"
        .to_owned())
}
