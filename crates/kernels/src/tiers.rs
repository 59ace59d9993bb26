//! What a device is good at, turned into choices. Nothing else looks at its kind; all choices compute the same numbers.
//!
//! Half precision (`shader-f16`) is not among them: activations and sums are f32 whatever the device has, so it could
//! only shorten the reading of scales, which `unpack2x16float` does everywhere.

use std::fmt;
use std::str::FromStr;

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

/// How the threads of a workgroup put together what each of them has (`fold_text.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// Through workgroup memory, as every device can.
    Workgroup,
    /// Threads of a subgroup exchange registers; only what subgroups come to goes through memory. Where the device has
    /// subgroups: natively on most; in browsers never, because wgpu does not ask one for them.
    Subgroup,
}

/// The choices for a device. As text, two words: `spread workgroup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiers {
    pub tiles: Tiles,
    pub reduction: Reduction,
}

impl Tiles {
    pub const ALL: [Tiles; 2] = [Tiles::Spread, Tiles::Compact];
}

impl Reduction {
    pub const ALL: [Reduction; 2] = [Reduction::Workgroup, Reduction::Subgroup];
}

impl Tiers {
    /// The choices that are right for a device which was never timed.
    pub(crate) fn of(adapter: &AdapterSummary) -> Tiers {
        let tiles = if adapter.software { Tiles::Compact } else { Tiles::Spread };
        Tiers { tiles, reduction: Reduction::Workgroup }
    }
}

impl fmt::Display for Tiers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tiles = match self.tiles {
            Tiles::Spread => "spread",
            Tiles::Compact => "compact",
        };
        let reduction = match self.reduction {
            Reduction::Workgroup => "workgroup",
            Reduction::Subgroup => "subgroup",
        };
        write!(out, "{tiles} {reduction}")
    }
}

/// A text that names no choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these are no choices for a GPU; they read like \"spread workgroup\"")]
pub struct NoTiers;

impl FromStr for Tiers {
    type Err = NoTiers;

    fn from_str(text: &str) -> Result<Tiers, NoTiers> {
        let all = Tiles::ALL.into_iter().flat_map(|tiles| Reduction::ALL.map(|reduction| Tiers { tiles, reduction }));
        all.into_iter().find(|tiers| tiers.to_string() == text).ok_or(NoTiers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_as_they_were_written_and_nothing_else_is() {
        for tiles in Tiles::ALL {
            for reduction in Reduction::ALL {
                let tiers = Tiers { tiles, reduction };
                assert_eq!(tiers.to_string().parse(), Ok(tiers));
            }
        }
        for damaged in ["", "spread", "spread  workgroup", "spread workgroup ", "wide subgroup", "\0"] {
            assert_eq!(damaged.parse::<Tiers>(), Err(NoTiers), "{damaged:?}");
        }
    }
}
