//! Buffers that count what they take, and are given back when dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Bytes of buffers that live on the device.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    now: AtomicU64,
    peak: AtomicU64,
    /// Fill new buffers with garbage, so that a kernel which reads what nobody wrote is found out.
    pub poison: AtomicBool,
}

/// A quiet NaN as a float, an absurd index as an integer.
pub(crate) const POISON: u32 = 0x7FC0_DEAD;

impl Meter {
    pub fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    pub fn peak(&self) -> u64 {
        self.peak.load(Relaxed)
    }

    fn add(&self, bytes: u64) {
        let now = self.now.fetch_add(bytes, Relaxed) + bytes;
        self.peak.fetch_max(now, Relaxed);
    }
}

/// A buffer on the device. Dropping it frees its memory at once (the browser's garbage collector would take its time);
/// work already submitted still completes.
#[derive(Debug)]
pub(crate) struct Memory {
    pub buffer: wgpu::Buffer,
    meter: Arc<Meter>,
}

impl Memory {
    pub fn new(buffer: wgpu::Buffer, meter: &Arc<Meter>) -> Memory {
        meter.add(buffer.size());
        Memory { buffer, meter: meter.clone() }
    }

    pub fn bytes(&self) -> u64 {
        self.buffer.size()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.meter.now.fetch_sub(self.buffer.size(), Relaxed);
        self.buffer.destroy();
    }
}
