//! Rows of activations in the order in which a format's blocks are unpacked.

use super::blocks::Order;

/// Rows of activations, a few side by side: what one group of 32 weights is multiplied with lies together.
pub(super) struct Operand {
    order: Order,
    rows: usize,
    /// Groups of 32 in a row; the last is filled up with zeros.
    groups: usize,
    /// Rows side by side; the last tile has what is left.
    tile: usize,
    /// By tile, then by group, then by row.
    values: Vec<[f32; 32]>,
    /// Sums of each group, in the same order, not scaled.
    sums: Vec<GroupSums>,
}

/// Sums over a group's first half, its second half, and all of it.
pub(super) type GroupSums = [f32; 3];

/// Rows that lie side by side.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    /// The first of them.
    pub first: usize,
    pub rows: usize,
    pub values: &'a [[f32; 32]],
    pub sums: &'a [GroupSums],
}

impl Operand {
    /// `x`: `[rows, cols]`.
    pub fn new(x: &[f32], cols: usize, order: Order, tile: usize) -> Operand {
        let (rows, groups) = (x.len() / cols, cols.div_ceil(32));
        let mut values = vec![[0.0; 32]; rows * groups];
        let mut sums = vec![[0.0; 3]; rows * groups];
        for (r, x) in x.chunks_exact(cols).enumerate() {
            let first = r / tile * tile;
            let beside = tile.min(rows - first);
            let places = (first * groups + r - first..).step_by(beside);
            for (x, at) in x.chunks(32).zip(places) {
                let mut group = [0.0; 32];
                group[..x.len()].copy_from_slice(x);
                let [first, second] = [0, 16].map(|half| sum(&group[half..half + 16]));
                sums[at] = [first, second, first + second];
                values[at] = in_order(&group, order);
            }
        }
        Operand { order, rows, groups, tile, values, sums }
    }

    pub fn order(&self) -> Order {
        self.order
    }

    pub fn groups(&self) -> usize {
        self.groups
    }

    pub fn tiles(&self) -> impl Iterator<Item = Tile<'_>> {
        (0..self.rows).step_by(self.tile).map(|first| {
            let rows = self.tile.min(self.rows - first);
            let here = first * self.groups..(first + rows) * self.groups;
            Tile { first, rows, values: &self.values[here.clone()], sums: &self.sums[here] }
        })
    }
}

#[inline(always)]
fn in_order(group: &[f32; 32], order: Order) -> [f32; 32] {
    if order == Order::Plain {
        return *group;
    }
    let mut ordered = [0.0; 32];
    for k in 0..4 {
        for lane in 0..8 {
            ordered[8 * k + lane] = group[order.number(k, lane)] / order.factor(k);
        }
    }
    ordered
}

/// The sum of sixteen numbers, in eight running sums.
fn sum(x: &[f32]) -> f32 {
    (0..8).map(|i| x[i] + x[i + 8]).sum()
}
