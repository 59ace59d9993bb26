//! How many workgroups a dispatch takes.

use crate::spans::{Share, Spans};
use crate::step::Step;

/// Workgroups of a dispatch: `across` the width of an activation, times one for every few rows of it.
///
/// A count across that exceeds what one dimension allows spills into z; the shaders put the two together again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub across: u32,
    pub along: Along,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Along {
    /// The rows of the step.
    Rows,
    /// The picks of the step.
    Picks,
    /// The rows of the step, or none of them, or each of them for several spans of its keys.
    RowsBySpans(Spans),
    /// Neither: once for the step.
    Once,
}

impl Along {
    /// Rows (or picks) of a step, and how often each needs all workgroups across.
    pub fn of(self, step: &Step) -> (u32, u32) {
        match self {
            Along::Rows => (step.rows.len() as u32, 1),
            Along::Picks => (step.picks.len() as u32, 1),
            Along::RowsBySpans(spans) => (step.rows.len() as u32, spans.times(step.rows)),
            Along::Once => (1, 1),
        }
    }
}

impl Grid {
    /// Whether a step whose texts have few keys needs the dispatch.
    pub fn serves_short_texts(self) -> bool {
        !matches!(self.along, Along::RowsBySpans(Spans { share: Share::Apart | Share::Merging, .. }))
    }

    /// The three dimensions, none above `limit`, where a workgroup takes `per` of `count` rows or picks, each `times`;
    /// `None` where nothing is to be done.
    pub fn workgroups(self, (count, times): (u32, u32), per: u32, limit: u32) -> Option<[u32; 3]> {
        let along = count.div_ceil(per);
        let across = self.across.saturating_mul(times);
        if across == 0 || along == 0 {
            return None;
        }
        let x = across.min(limit);
        Some([x, along, across.div_ceil(x)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_grid_spills_into_z() {
        let grid = Grid { across: 70_000, along: Along::Rows };
        let [x, y, z] = grid.workgroups((5, 1), 4, 65_535).unwrap();
        assert_eq!([x, y, z], [65_535, 2, 2]);
        assert_eq!(grid.workgroups((0, 1), 4, 65_535), None);
    }
}
