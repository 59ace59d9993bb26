//! Conditions on an activation, and the memory of those that fired.

use std::sync::Arc;

use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::memory::Memory;
use crate::vector::Vector;

/// Fires at a row where the score of its activation h lies on the given side of `threshold`, and not at it.
#[derive(Clone, Debug)]
pub struct Condition {
    /// v, as wide as h.
    pub vector: Vector,
    pub score: Score,
    /// Fires above the threshold, else below it.
    pub above: bool,
    pub threshold: f32,
    /// Keeps the gate open for the rest of a row's sequence once the condition has fired.
    pub latch: Option<Latch>,
}

/// The number that a [`Condition`] compares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Score {
    /// `h . v + bias`: a linear probe.
    Dot { bias: f32 },
    /// `h . v / (|h| |v|)`; 0 where one has no length.
    Cosine,
    /// The cosine between h and `tanh(P h)`, by element, with `P = v v^T / v . v` (Lee et al. 2024, "CAST", section 3);
    /// 0 where one has no length.
    CosineToProjection,
}

/// Remembers at which rows of a key and value cache a condition fired, from step to step and from plan to plan. It holds
/// for the same texts as the cache does: whoever writes other tokens there without the condition must clear it.
///
/// Each condition needs its own. A clone is a handle to the same memory.
#[derive(Clone, Debug)]
pub struct Latch {
    gpu: Gpu,
    memory: Arc<Memory>,
    rows: u32,
}

impl Latch {
    /// A latch beside a cache of `kv_rows` rows, nothing fired. Errors where it exceeds what the device binds.
    pub fn new(gpu: &Gpu, kv_rows: u32) -> Result<Latch, GpuError> {
        let memory = Arc::new(gpu.storage("a condition's memory", u64::from(kv_rows) * 4)?);
        let latch = Latch { gpu: gpu.clone(), memory, rows: kv_rows };
        latch.clear();
        Ok(latch)
    }

    /// Forgets what fired, for steps submitted from now on.
    pub fn clear(&self) {
        let nothing = vec![0; self.memory.bytes() as usize];
        self.gpu.write(&self.memory, 0, &nothing);
    }

    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    pub(crate) fn memory(&self) -> Arc<Memory> {
        self.memory.clone()
    }
}
