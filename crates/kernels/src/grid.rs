//! How many workgroups a dispatch takes.

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
}

impl Grid {
    /// The three dimensions, none above `limit`, where a workgroup takes `per` of `count` rows or picks; `None` where
    /// nothing is to be done.
    pub fn workgroups(self, count: u32, per: u32, limit: u32) -> Option<[u32; 3]> {
        let along = count.div_ceil(per);
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
        let grid = Grid { across: 70_000, along: Along::Rows };
        let [x, y, z] = grid.workgroups(5, 4, 65_535).unwrap();
        assert_eq!([x, y, z], [65_535, 2, 2]);
        assert_eq!(grid.workgroups(0, 4, 65_535), None);
    }
}
