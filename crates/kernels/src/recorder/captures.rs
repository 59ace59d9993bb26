//! Copies of activations: for the host to read, or into a store that stays on the device.

use std::ops::Range;

use super::{Bound, Recorded, Recorder, TapId};
use crate::act::{Act, Over};
use crate::grid::{Along, Grid};
use crate::kernel::Kernel;
use crate::plan::Tapped;
use crate::step::TapRows;
use crate::store::Store;

impl Recorder {
    /// [`Recorder::tap`] of these columns alone.
    pub fn tap_columns(&mut self, x: &Act, columns: Range<u32>, rows: TapRows) -> TapId {
        self.expect_columns(x, &columns);
        let over = captured(x, rows);
        let width = columns.len() as u32;
        let memory = self.memory("a tap", u64::from(self.capacity(over)) * u64::from(width) * 4);
        let bound = memory.clone().map_or(Bound::Unused, Bound::Memory);
        self.copy_rows(x, columns, bound, width, over);
        if let Some(memory) = memory {
            self.taps.push(Tapped { memory, width, over_picks: over == Over::Picks });
        }
        TapId(self.taps.len().saturating_sub(1))
    }

    /// Puts these columns of x, as they are at this point, into `store`, in steps that say where
    /// ([`Want::store_from`](crate::Want)): of all rows of x, or of those that the picks name.
    pub fn tap_to(&mut self, x: &Act, columns: Range<u32>, rows: TapRows, store: &Store) {
        self.expect_columns(x, &columns);
        self.expect(columns.len() == store.width() as usize, || {
            format!("{} columns captured into a store of width {}", columns.len(), store.width())
        });
        let over = captured(x, rows);
        let (along, bound) = match over {
            Over::Rows => (Along::Rows, &mut self.bounds.store_rows),
            Over::Picks => (Along::Picks, &mut self.bounds.store_rows_of_picks),
        };
        *bound = (*bound).min(store.rows());
        for part in store.parts() {
            self.recorded.push(Recorded {
                kernels: vec![Kernel::StoreRows],
                dims: vec![
                    x.stride(),
                    columns.start,
                    store.width(),
                    u32::from(over == Over::Picks),
                    u32::from(over != x.over),
                    part.rows.start,
                    part.rows.len() as u32,
                ],
                bound: vec![Bound::Picks, self.bind(x), Bound::Store(part.clone())],
                grid: Grid { across: store.width().div_ceil(64), along },
            });
        }
    }
}

fn captured(x: &Act, rows: TapRows) -> Over {
    if rows == TapRows::Picks { Over::Picks } else { x.over }
}
