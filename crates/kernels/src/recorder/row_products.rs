//! Numbers about each row of a store.

use super::{Bound, Recorded, Recorder};
use crate::grid::{Along, Grid};
use crate::kernel::Kernel;
use crate::plan::Tapped;
use crate::store::Store;
use crate::vector::Vector;

/// Numbers for each row.
pub(crate) const PRODUCTS: usize = 3;

impl Recorder {
    /// For each row of `store` its product with `vector`, with itself, and with the other row of its pair (rows 0 and 1,
    /// 2 and 3, ...), for the host to read: the next tap, `[1, rows * 3]`, in a plan for one row.
    pub(crate) fn row_products(&mut self, store: &Store, vector: &Vector) {
        self.expect(vector.len() == store.width() as usize, || {
            format!("a vector of {} for rows of {}", vector.len(), store.width())
        });
        self.expect(self.row_capacity == 1, || "products of a store's rows are one row".to_owned());
        let width = store.rows() * PRODUCTS as u32;
        let Some(memory) = self.memory("products of rows", u64::from(width) * 4) else { return };
        for (index, part) in store.parts().iter().enumerate() {
            // Parts of more than one row hold whole pairs; a part of one row has its pair's other row in a neighbour.
            let other = match part.rows.len() {
                1 => store.parts().get(index ^ 1).unwrap_or(part),
                _ => part,
            };
            self.recorded.push(Recorded {
                kernels: vec![Kernel::RowProducts],
                dims: vec![
                    store.width(),
                    part.rows.start,
                    part.rows.len() as u32,
                    other.rows.start,
                    other.rows.len() as u32,
                ],
                bound: vec![
                    Bound::Memory(vector.memory()),
                    Bound::Memory(part.memory.clone()),
                    Bound::Memory(other.memory.clone()),
                    Bound::Memory(memory.clone()),
                ],
                grid: Grid { across: part.rows.len() as u32, along: Along::Rows },
            });
        }
        self.taps.push(Tapped { memory, width, over_picks: false });
    }
}
