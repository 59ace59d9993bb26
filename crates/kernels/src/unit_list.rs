//! A list of columns on the device.

use std::sync::Arc;

use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::memory::Memory;

/// Columns of an activation that do not lie side by side: neurons, features. A clone is a handle to the same list.
#[derive(Clone, Debug)]
pub struct UnitList {
    memory: Arc<Memory>,
    len: usize,
    largest: u32,
}

impl UnitList {
    /// Errors where `units` is empty, or names a unit twice: which of two edits of it came last would be left to chance.
    pub fn new(gpu: &Gpu, units: &[u32]) -> Result<UnitList, GpuError> {
        let mut sorted = units.to_vec();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(GpuError::Validation(format!("unit {} listed twice", pair[0])));
        }
        let Some(&largest) = sorted.last() else {
            return Err(GpuError::Validation("an empty list of units".to_owned()));
        };
        let memory = gpu.storage("a list of units", units.len() as u64 * 4)?;
        gpu.write(&memory, 0, bytemuck::cast_slice(units));
        Ok(UnitList { memory: Arc::new(memory), len: units.len(), largest })
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn largest(&self) -> u32 {
        self.largest
    }

    pub(crate) fn memory(&self) -> Arc<Memory> {
        self.memory.clone()
    }
}
