//! The interface of a device that runs lowered programs.

use std::sync::Arc;

use thiserror::Error;

use super::{Kernel, Lowered};
use crate::optim::Optimizer;
use crate::parameters::Parameters;
use crate::scalar::Scalar;

/// A device, or its driver, that failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DeviceError {
    /// There is none, or it cannot be used.
    #[error("no GPU: {0}")]
    Absent(String),
    /// Its memory is too small.
    #[error(
        "the GPU has too little memory: {needed} bytes are needed for one seed and {free} are free"
    )]
    Memory {
        /// Bytes for one seed.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// It stopped in the middle of the work.
    #[error("the GPU was lost: {0}")]
    Lost(String),
}

/// A GPU.
pub trait Device: Sync {
    /// Its name, with its compute capability.
    fn name(&self) -> String;

    /// The instruction set that a run's files name: that of its compute capability. The driver
    /// compiles the kernels for it, and another version of the driver may round differently.
    fn isa(&self) -> String;

    /// Free bytes of its memory.
    ///
    /// # Errors
    /// If the device is lost.
    fn free_bytes(&self) -> Result<u64, DeviceError>;

    /// Opens `count` seeds that share the launches of equal programs. Each is used by a thread of its
    /// own: a launch waits for all seeds that are open, and a seed leaves when it is dropped. The
    /// results do not depend on how many seeds there are.
    ///
    /// # Errors
    /// If the device is lost.
    fn seeds(&self, count: usize) -> Result<Vec<Box<dyn OnDevice<f32>>>, DeviceError>;

    /// Times so many steps of a training program for so many seeds with equal parameters and one
    /// record, several times.
    ///
    /// # Errors
    /// If the device has too little memory, or is lost.
    fn time(
        &self,
        program: &Arc<Lowered>,
        record: &[u32],
        parameters: &[f32],
        seeds: usize,
        steps: usize,
    ) -> Result<Timing, DeviceError>;
}

/// The times of one program.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Seconds of a step of all seeds: the median.
    pub step: f64,
    /// Each kernel's launches of a step, one after the other, the slowest first.
    pub kernels: Vec<KernelTime>,
    /// Bytes a second of a copy in the device's memory, those read and those written.
    pub copy_rate: f64,
}

/// The launches of one kernel in a step.
#[derive(Clone, Debug)]
pub struct KernelTime {
    /// The kernel.
    pub kernel: Kernel,
    /// Its launches.
    pub launches: usize,
    /// Seconds of all of them, for all seeds.
    pub seconds: f64,
    /// Bytes that they read and write, for all seeds, if each number moves once.
    pub bytes: f64,
}

/// The memory and the work of one seed on a device.
pub trait OnDevice<T>: Send {
    /// Copies parameters and moments to the device; moments that are not kept are empty.
    ///
    /// # Errors
    /// If the device has no memory for them, or is lost.
    fn write(&mut self, parameters: &[T], moments: [&[T]; 2]) -> Result<(), DeviceError>;

    /// Copies parameters and moments from the device.
    ///
    /// # Errors
    /// If the device is lost.
    fn read(&mut self, parameters: &mut [T], moments: [&mut [T]; 2]) -> Result<(), DeviceError>;

    /// Runs a program once for each of the records, which follow each other, and returns the
    /// outputs, which follow each other too.
    ///
    /// # Errors
    /// If the device has no memory for it, or is lost.
    fn run(&mut self, program: &Arc<Lowered>, records: &[u32]) -> Result<Vec<T>, DeviceError>;
}

impl Lowered {
    /// Bytes of device memory for one seed and this many steps at once, without parameters and
    /// moments.
    pub fn bytes(&self, steps: usize) -> u64 {
        let words = self.arena + self.record + (self.record + self.outputs) * steps + 1;
        4 * words as u64
    }

    /// Bytes of parameters, gradients and moments for one seed.
    pub fn state_bytes(&self) -> u64 {
        4 * (self.parameters + 3 * self.trainable) as u64
    }
}

/// Copies a model and the state of its optimiser to a device.
///
/// # Errors
/// As [`OnDevice::write`].
pub fn write_state<T: Scalar>(
    device: &mut dyn OnDevice<T>,
    parameters: &Parameters<T>,
    optimizer: &Optimizer<T>,
) -> Result<(), DeviceError> {
    let moment =
        |i: usize| optimizer.moments().get(i).map_or(&[][..], |moment| moment.values.as_slice());
    device.write(parameters.values.as_slice(), [moment(0), moment(1)])
}

/// Copies a model and the state of its optimiser from a device.
///
/// # Errors
/// As [`OnDevice::read`].
pub fn read_state<T: Scalar>(
    device: &mut dyn OnDevice<T>,
    parameters: &mut Parameters<T>,
    optimizer: &mut Optimizer<T>,
) -> Result<(), DeviceError> {
    let mut moments = optimizer.moments_mut().iter_mut().map(|moment| moment.values.as_mut_slice());
    let moments = [0, 1].map(|_| moments.next().unwrap_or_default());
    device.read(parameters.values.as_mut_slice(), moments)
}

/// The parameters in the layout of a device.
pub fn flat<T: Scalar>(parameters: &Parameters<T>) -> &[T] {
    parameters.values.as_slice()
}
