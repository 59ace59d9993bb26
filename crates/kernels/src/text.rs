//! The tokens of the texts in a key and value cache.

use std::sync::Arc;

use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::memory::Memory;

/// The token at each row of a key and value cache, as [`Recorder::remember_tokens`](crate::Recorder::remember_tokens)
/// writes it in each step. A clone is a handle to the same memory.
#[derive(Clone, Debug)]
pub struct Text {
    memory: Arc<Memory>,
    rows: u32,
}

impl Text {
    /// Beside a cache of `kv_rows` rows. Errors where it exceeds what the device binds.
    pub fn new(gpu: &Gpu, kv_rows: u32) -> Result<Text, GpuError> {
        Ok(Text { memory: Arc::new(gpu.storage("the tokens of a text", u64::from(kv_rows) * 4)?), rows: kv_rows })
    }

    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    pub(crate) fn memory(&self) -> Arc<Memory> {
        self.memory.clone()
    }
}
