//! How far a transfer is.

use std::cell::{Cell, RefCell};

#[cfg(not(target_arch = "wasm32"))]
use crate::native::http as transport;
#[cfg(target_arch = "wasm32")]
use crate::web::fetch as transport;

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Bytes that are there, those of earlier tries included.
    pub received: u64,
    pub total: Option<u64>,
    /// Over the transfer so far.
    pub bytes_per_s: f64,
    pub phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase {
    Connecting,
    Downloading,
    /// The connection broke; trying again.
    Resuming {
        at: u64,
    },
    /// The hub has too much to do, and asked to be left alone for so long.
    Waiting {
        seconds: f64,
    },
    /// Somebody else receives the file into the same cache, and one waits for it.
    Elsewhere,
    /// Computing the checksum of what an earlier try left.
    Verifying,
    /// The file is in the cache.
    Ready,
}

/// Tells a listener how far a transfer is; shared by the requests that run side by side.
pub(crate) struct Meter<P> {
    on_progress: RefCell<P>,
    pub total: Cell<Option<u64>>,
    pub received: Cell<u64>,
    /// When the transfer began, and what was there then.
    began: Cell<(f64, u64)>,
}

impl<P: FnMut(Progress)> Meter<P> {
    pub fn new(on_progress: P, total: Option<u64>) -> Meter<P> {
        Meter {
            on_progress: RefCell::new(on_progress),
            total: Cell::new(total),
            received: Cell::new(0),
            began: Cell::new((transport::seconds(), 0)),
        }
    }

    /// From here on, what comes counts towards the rate.
    pub fn begin(&self) {
        self.began.set((transport::seconds(), self.received.get()));
    }

    pub fn report(&self, phase: Phase) {
        let (began, before) = self.began.get();
        let (received, seconds) = (self.received.get(), transport::seconds() - began);
        let bytes_per_s = if seconds > 0.0 { received.saturating_sub(before) as f64 / seconds } else { 0.0 };
        (self.on_progress.borrow_mut())(Progress { received, total: self.total.get(), bytes_per_s, phase });
    }
}
