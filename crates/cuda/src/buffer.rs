//! Device memory that several seeds share, a slot each.

use cudarc::driver::result;
use retrodict_engine::lower::DeviceError;

use crate::driver::{CUdeviceptr, Stream, is_out_of_memory, lost};

/// Words of `stride` for each of `slots` seeds.
#[derive(Default)]
pub(crate) struct Buffer {
    start: CUdeviceptr,
    stride: usize,
    slots: usize,
}

impl Buffer {
    /// Zeroed memory.
    ///
    /// # Errors
    /// [`DeviceError::Memory`] if there is too little.
    pub(crate) fn zeros(slots: usize, stride: usize) -> Result<Buffer, DeviceError> {
        // Whole cache lines, and never nothing.
        let stride = stride.max(1).next_multiple_of(32);
        let bytes = slots.max(1) * stride * 4;
        // SAFETY: the memory is freed when this is dropped.
        let start = unsafe { result::malloc_sync(bytes) }.map_err(|error| {
            if !is_out_of_memory(error) {
                return lost(error);
            }
            let free = result::mem_get_info().map_or(0, |(free, _)| free as u64);
            DeviceError::Memory { needed: (bytes / slots.max(1)) as u64, free }
        })?;
        let buffer = Buffer { start, stride, slots };
        // SAFETY: so many bytes were allocated.
        unsafe { result::memset_d8_sync(start, 0, bytes) }.map_err(lost)?;
        Ok(buffer)
    }

    /// Words of a slot.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    pub(crate) fn address(&self) -> u64 {
        self.start
    }

    /// Whether a slot has so many words.
    pub(crate) fn holds(&self, words: usize) -> bool {
        self.slots > 0 && words <= self.stride
    }

    pub(crate) fn bytes(&self) -> usize {
        self.slots * self.stride * 4
    }

    /// Copies a buffer of the same size, in a stream.
    pub(crate) fn copy_from(&self, from: &Buffer, stream: &Stream) -> Result<(), DeviceError> {
        assert_eq!(self.bytes(), from.bytes());
        // SAFETY: both have so many bytes.
        unsafe { result::memcpy_dtod_async(self.start, from.start, self.bytes(), stream.0) }
            .map_err(lost)
    }

    fn at(&self, slot: usize, words: usize) -> CUdeviceptr {
        assert!(slot < self.slots && words <= self.stride, "in the buffer");
        self.start + (slot * self.stride * 4) as u64
    }

    /// Copies words to the beginning of a slot.
    pub(crate) fn write<W: Word>(&self, slot: usize, words: &[W]) -> Result<(), DeviceError> {
        let to = self.at(slot, words.len());
        // SAFETY: the slot has so many words.
        unsafe { result::memcpy_htod_sync(to, words) }.map_err(lost)
    }

    /// Copies words from the beginning of a slot.
    pub(crate) fn read<W: Word>(&self, slot: usize, words: &mut [W]) -> Result<(), DeviceError> {
        let from = self.at(slot, words.len());
        // SAFETY: the slot has so many words, and every pattern of bits is a word.
        unsafe { result::memcpy_dtoh_sync(words, from) }.map_err(lost)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.slots > 0 {
            // SAFETY: it was allocated once, and nothing that uses it runs: who replaces a buffer
            // waits for its stream first.
            let _ = unsafe { result::free_sync(self.start) };
        }
    }
}

/// A number of 4 bytes, of which every pattern of bits is one.
pub(crate) trait Word: Copy {}
impl Word for u32 {}
impl Word for f32 {}
