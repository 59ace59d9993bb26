//! A vector of f32 on the device.

use std::sync::Arc;

use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::memory::Memory;
use crate::readback::read_words;

/// Bytes that are brought back at a time.
const READ: u64 = 32 << 20;

/// A vector of f32 on the device: a norm's gains, a bias, a steering vector. A clone is a handle to the same numbers.
#[derive(Clone, Debug)]
pub struct Vector {
    gpu: Gpu,
    memory: Arc<Memory>,
    len: usize,
}

impl Vector {
    pub fn new(gpu: &Gpu, values: &[f32]) -> Result<Vector, GpuError> {
        // Kernels read eight at a time: zeros follow the end.
        let padded = values.len().next_multiple_of(8);
        let memory = gpu.storage("a vector", padded as u64 * 4)?;
        let mut bytes = values.to_vec();
        bytes.resize(padded, 0.0);
        gpu.write(&memory, 0, bytemuck::cast_slice(&bytes));
        Ok(Vector { gpu: gpu.clone(), memory: Arc::new(memory), len: values.len() })
    }

    /// Replaces the numbers; plans that use this vector use the new ones from the next submit on. Errors where the
    /// length differs, and where the device is lost.
    pub fn write(&self, values: &[f32]) -> Result<(), GpuError> {
        if values.len() != self.len {
            return Err(GpuError::Validation(format!("a vector of {} was given {} numbers", self.len, values.len())));
        }
        self.gpu.write(&self.memory, 0, bytemuck::cast_slice(values));
        self.gpu.check()
    }

    /// Replaces some of the numbers, from number `first` on. Errors where they run past the end, and where the device is
    /// lost.
    pub fn write_part(&self, first: usize, values: &[f32]) -> Result<(), GpuError> {
        self.check_part(first, values.len())?;
        self.gpu.write(&self.memory, first as u64 * 4, bytemuck::cast_slice(values));
        self.gpu.check()
    }

    /// Brings `count` numbers back, from number `first` on, as every step submitted so far left them. Errors where they
    /// run past the end, and where the device is lost.
    pub async fn read(&self, first: usize, count: usize) -> Result<Vec<f32>, GpuError> {
        self.check_part(first, count)?;
        let (mut at, end) = (first as u64 * 4, (first + count) as u64 * 4);
        let mut values = Vec::with_capacity(count);
        while at < end {
            let bytes = READ.min(end - at);
            values.extend(read_words(&self.gpu, &self.memory, at, bytes).await?.into_iter().map(f32::from_bits));
            at += bytes;
        }
        Ok(values)
    }

    fn check_part(&self, first: usize, count: usize) -> Result<(), GpuError> {
        match first.checked_add(count) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(GpuError::Validation(format!("{count} numbers from number {first} of a vector of {}", self.len))),
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn memory(&self) -> Arc<Memory> {
        self.memory.clone()
    }
}
