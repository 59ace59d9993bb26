//! Sums over the rows of a store.

use super::{Bound, Recorded, Recorder, TapId};
use crate::grid::{Along, Grid};
use crate::kernel::Kernel;
use crate::plan::Tapped;
use crate::store::Store;
use crate::vector::Vector;

/// Columns that a workgroup sums (`shaders/weighted_sum.wgsl`).
const COLUMNS: u32 = 32;

impl Recorder {
    /// The sum of the rows of `store`, each times its weight, for the host to read: `[1, width]`, in a plan for one row.
    pub fn weighted_sum(&mut self, store: &Store, weights: &Vector) -> TapId {
        self.expect(weights.len() == store.rows() as usize, || {
            format!("{} weights for {} rows of a store", weights.len(), store.rows())
        });
        self.expect(self.row_capacity == 1, || "a sum is one row".to_owned());
        let width = store.width();
        if let Some(memory) = self.memory("a sum", u64::from(width) * 4) {
            for part in store.parts() {
                self.recorded.push(Recorded {
                    kernels: vec![Kernel::WeightedSum],
                    dims: vec![width, part.rows.start, part.rows.len() as u32, u32::from(part.rows.start > 0)],
                    bound: vec![
                        Bound::Memory(weights.memory()),
                        Bound::Memory(part.memory.clone()),
                        Bound::Memory(memory.clone()),
                    ],
                    grid: Grid { across: width.div_ceil(COLUMNS), along: Along::Rows },
                });
            }
            self.taps.push(Tapped { memory, width, over_picks: false });
        }
        TapId(self.taps.len().saturating_sub(1))
    }
}
