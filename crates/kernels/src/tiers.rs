//! What a device is good at, turned into choices. Nothing else looks at its kind; all choices compute the same numbers.

use crate::adapter::AdapterSummary;

/// How the threads of a workgroup share a tile of a product of many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tiles {
    /// 64 threads, whatever the tile: hardware hides its latencies behind many threads.
    Spread,
    /// As few threads as can have 64 sums each: a software adapter gains nothing from more, and reads a number for
    /// every lane on its own, so that what is read for each product is what counts.
    Compact,
}

/// The choices for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiers {
    pub tiles: Tiles,
}

impl Tiers {
    pub(crate) fn of(adapter: &AdapterSummary) -> Tiers {
        Tiers { tiles: if adapter.software { Tiles::Compact } else { Tiles::Spread } }
    }
}
