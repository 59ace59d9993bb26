//! Edits by column.

use std::ops::Range;

use super::{Bound, Recorded, Recorder, along, conditions::Gate, over_picks};
use crate::act::{Act, Over};
use crate::grid::Grid;
use crate::kernel::Kernel;
use crate::patch::{Patch, StoredPatch};
use crate::unit_list::UnitList;
use crate::vector::Vector;

/// Where an edit acts: on rows whose [`Row::edits`](crate::Row) has the bit of `slot`, and whose gate is open where
/// there is one. Its coefficient is the step's for the slot. Of an activation over picks, the picked row decides.
#[derive(Clone, Copy, Debug)]
pub struct When<'a> {
    /// Below [`EDIT_SLOTS`](crate::EDIT_SLOTS).
    pub slot: u32,
    pub gate: Option<&'a Gate>,
}

/// The columns of an activation that an edit acts on.
#[derive(Clone, Debug)]
pub enum Columns<'a> {
    Range(Range<u32>),
    Listed(&'a UnitList),
}

impl Columns<'_> {
    fn count(&self) -> usize {
        match self {
            Columns::Range(range) => range.len(),
            Columns::Listed(units) => units.len(),
        }
    }
}

impl Recorder {
    /// [`Recorder::edit_add`] of all columns, under no condition.
    pub fn add_vector(&mut self, x: Act, vector: &Vector, edit_slot: u32) -> Act {
        let columns = Columns::Range(0..x.width());
        self.edit_add(x, columns, vector, When { slot: edit_slot, gate: None })
    }

    /// `x + c v`, in place: `vector` has a number for each of `columns`, and c is the coefficient.
    pub fn edit_add(&mut self, x: Act, columns: Columns, vector: &Vector, when: When) -> Act {
        self.edit_columns(Kernel::EditAdd, x, columns, Some(vector), when)
    }

    /// `x + c (v - x)`, in place: ablation to zero, to a mean, or to any values. Where c is 1, exactly v.
    pub fn edit_set(&mut self, x: Act, columns: Columns, vector: &Vector, when: When) -> Act {
        self.edit_columns(Kernel::EditSet, x, columns, Some(vector), when)
    }

    /// `c x`, in place.
    pub fn edit_scale(&mut self, x: Act, columns: Columns, when: When) -> Act {
        self.edit_columns(Kernel::EditScale, x, columns, None, when)
    }

    fn edit_columns(&mut self, kernel: Kernel, x: Act, columns: Columns, vector: Option<&Vector>, when: When) -> Act {
        let count = columns.count();
        if let Some(vector) = vector {
            self.expect(vector.len() == count, || format!("a vector of {} for {count} columns", vector.len()));
        }
        let (range, units) = match columns {
            Columns::Range(range) => (range, None),
            Columns::Listed(units) => (0..units.largest().saturating_add(1), Some(units)),
        };
        let (mut dims, mut bound) = self.edit(&x, &range, when);
        dims[5] = count as u32;
        dims.push(u32::from(units.is_some()));
        bound.push(units.map_or(Bound::Unused, |units| Bound::Memory(units.memory())));
        bound.extend(vector.map(|vector| Bound::Memory(vector.memory())));
        let grid = Grid { across: (count as u32).div_ceil(64), along: along(&x) };
        self.recorded.push(Recorded { kernels: vec![kernel], dims, bound, grid });
        x
    }

    /// `x + c (p - x)`, in place, in rows whose position has an entry p in `table`; exactly p where c is 1.
    pub fn edit_patch(&mut self, x: Act, columns: Range<u32>, table: &Patch, when: When) -> Act {
        self.expect(columns.len() == table.width() as usize, || {
            format!("a patch of width {} for {} columns", table.width(), columns.len())
        });
        let (mut dims, mut bound) = self.edit(&x, &columns, when);
        dims.push(table.entries());
        bound.extend([Bound::Memory(table.positions()), Bound::Memory(table.values())]);
        let grid = Grid { across: table.width().div_ceil(64), along: along(&x) };
        self.recorded.push(Recorded { kernels: vec![Kernel::EditPatch], dims, bound, grid });
        x
    }

    /// [`Recorder::edit_patch`] with rows of a store.
    pub fn edit_patch_stored(&mut self, x: Act, columns: Range<u32>, patch: &StoredPatch, when: When) -> Act {
        self.edit_stored(Kernel::EditPatchStored, x, columns, patch, None, when)
    }

    /// `x + c |p - x| d`, in place, in rows whose position has an entry p in `patch`: as long a step as the one to p, in
    /// another direction. `directions`: one d for each entry, by position ascending, `[entries, columns]`.
    pub fn edit_displace(
        &mut self,
        x: Act,
        columns: Range<u32>,
        patch: &StoredPatch,
        directions: &Vector,
        when: When,
    ) -> Act {
        let needed = patch.entries() as usize * columns.len();
        self.expect(directions.len() == needed, || {
            format!("directions of {} numbers, where {needed} are needed", directions.len())
        });
        self.edit_stored(Kernel::EditDisplace, x, columns, patch, Some(directions), when)
    }

    fn edit_stored(
        &mut self,
        kernel: Kernel,
        x: Act,
        columns: Range<u32>,
        patch: &StoredPatch,
        directions: Option<&Vector>,
        when: When,
    ) -> Act {
        self.expect(columns.len() == patch.width() as usize, || {
            format!("a patch of width {} for {} columns", patch.width(), columns.len())
        });
        let across = if directions.is_some() { 1 } else { patch.width().div_ceil(64) };
        for part in patch.parts() {
            let (mut dims, mut bound) = self.edit(&x, &columns, when);
            dims.push(patch.entries());
            dims.extend(patch.place());
            dims.extend([part.rows.start, part.rows.len() as u32]);
            bound.extend([Bound::Memory(patch.index()), Bound::Memory(part.memory.clone())]);
            bound.extend(directions.map(|directions| Bound::Memory(directions.memory())));
            let grid = Grid { across, along: along(&x) };
            self.recorded.push(Recorded { kernels: vec![kernel], dims, bound, grid });
        }
        x
    }

    /// The beginning of every edit's `Dims` and its first bindings, as `shaders/edited.wgsl` has them.
    pub(super) fn edit(&mut self, x: &Act, columns: &Range<u32>, when: When) -> (Vec<u32>, Vec<Bound>) {
        let When { slot, gate } = when;
        self.expect_slot(slot);
        self.expect_columns(x, columns);
        let gated = match gate.map(|gate| gate.over) {
            None => 0,
            Some(Over::Rows) => 1,
            Some(Over::Picks) => 2,
        };
        self.expect(gated < 2 || x.over == Over::Picks, || "rows edited under a condition on picked rows".to_owned());
        let dims = vec![over_picks(x), slot, gated, x.stride(), columns.start, columns.len() as u32];
        let gate = gate.and_then(|gate| gate.memory.clone()).map_or(Bound::Unused, Bound::Memory);
        (dims, vec![Bound::Rows, Bound::Picks, gate, self.bind(x)])
    }

    pub(super) fn expect_columns(&mut self, x: &Act, columns: &Range<u32>) {
        self.expect(columns.start < columns.end && columns.end <= x.width(), || {
            format!("columns {} to {} of width {}", columns.start, columns.end, x.width())
        });
    }
}
