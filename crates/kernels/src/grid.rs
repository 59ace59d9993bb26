//! How many workgroups a dispatch takes.

/// Workgroups of a dispatch: `across` the width of an activation, times one for every `per` rows of it.
///
/// A count across that exceeds what one dimension allows spills into z; the shaders put the two together again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub across: u32,
    pub along: Along,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Along {
    /// One workgroup for every `per` rows of the step.
    Rows { per: u32 },
    /// One workgroup for every `per` picks of the step.
    Picks { per: u32 },
}

impl Grid {
    /// The three dimensions for a step of `rows` rows and `picks` picks, none above `limit`; `None` where nothing is
    /// to be done.
    pub fn workgroups(self, rows: u32, picks: u32, limit: u32) -> Option<[u32; 3]> {
        let along = match self.along {
            Along::Rows { per } => rows.div_ceil(per),
            Along::Picks { per } => picks.div_ceil(per),
        };
        if self.across == 0 || along == 0 {
            return None;
        }
        let x = self.across.min(limit);
        Some([x, along, self.across.div_ceil(x)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_grid_spills_into_z() {
        let grid = Grid { across: 70_000, along: Along::Rows { per: 4 } };
        let [x, y, z] = grid.workgroups(5, 0, 65_535).unwrap();
        assert_eq!([x, y, z], [65_535, 2, 2]);
        assert_eq!(grid.workgroups(0, 3, 65_535), None);
    }
}
