//! What a device is given to do, counted as it is given.

use std::ops::Sub;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts since the device was opened. Two of them subtracted are what happened between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    pub submits: u64,
    pub passes: u64,
    pub dispatches: u64,
    /// Of all dispatches together.
    pub workgroups: u64,
    /// Times that something was asked back from the device: each is a mapping of a buffer.
    pub readbacks: u64,
    /// Bytes asked back from the device.
    pub readback_bytes: u64,
    /// Bytes written to the device: weights, steps, plans and what they bind.
    pub upload_bytes: u64,
}

impl Sub for Work {
    type Output = Work;

    fn sub(self, before: Work) -> Work {
        Work {
            submits: self.submits - before.submits,
            passes: self.passes - before.passes,
            dispatches: self.dispatches - before.dispatches,
            workgroups: self.workgroups - before.workgroups,
            readbacks: self.readbacks - before.readbacks,
            readback_bytes: self.readback_bytes - before.readback_bytes,
            upload_bytes: self.upload_bytes - before.upload_bytes,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct WorkMeter {
    submits: AtomicU64,
    passes: AtomicU64,
    dispatches: AtomicU64,
    workgroups: AtomicU64,
    readbacks: AtomicU64,
    readback_bytes: AtomicU64,
    upload_bytes: AtomicU64,
}

impl WorkMeter {
    pub fn now(&self) -> Work {
        Work {
            submits: self.submits.load(Relaxed),
            passes: self.passes.load(Relaxed),
            dispatches: self.dispatches.load(Relaxed),
            workgroups: self.workgroups.load(Relaxed),
            readbacks: self.readbacks.load(Relaxed),
            readback_bytes: self.readback_bytes.load(Relaxed),
            upload_bytes: self.upload_bytes.load(Relaxed),
        }
    }

    pub fn submit(&self) {
        self.submits.fetch_add(1, Relaxed);
    }

    pub fn pass(&self) {
        self.passes.fetch_add(1, Relaxed);
    }

    pub fn dispatch(&self, [x, y, z]: [u32; 3]) {
        self.dispatches.fetch_add(1, Relaxed);
        self.workgroups.fetch_add(u64::from(x) * u64::from(y) * u64::from(z), Relaxed);
    }

    pub fn read_back(&self, bytes: u64) {
        self.readbacks.fetch_add(1, Relaxed);
        self.readback_bytes.fetch_add(bytes, Relaxed);
    }

    pub fn upload(&self, bytes: u64) {
        self.upload_bytes.fetch_add(bytes, Relaxed);
    }
}
