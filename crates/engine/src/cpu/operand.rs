//! Rows of activations in the order in which a format's blocks are unpacked.

use super::blocks::Order;
use std::array::from_fn;

/// Rows of activations, a few side by side: what one group of 32 weights is multiplied with lies together.
pub(super) struct Operand {
    order: Order,
    rows: usize,
    /// Groups of 32 in a row; the last is filled up with zeros.
    groups: usize,
    /// Rows side by side; the last tile has what is left.
    tile: usize,
    /// By tile, then by eight columns in the format's order, then by row.
    values: Vec<[f32; 8]>,
    /// By tile, then by group, then by row.
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
    pub values: &'a [[f32; 8]],
    pub sums: &'a [GroupSums],
}

impl Operand {
    /// `x`: `[rows, cols]`.
    pub fn new(x: &[f32], cols: usize, order: Order, tile: usize) -> Operand {
        let (rows, groups) = (x.len() / cols, cols.div_ceil(32));
        let mut values = vec![[0.0; 8]; 4 * rows * groups];
        let mut sums = vec![[0.0; 3]; rows * groups];
        for (r, x) in x.chunks_exact(cols).enumerate() {
            let first = r / tile * tile;
            let beside = tile.min(rows - first);
            for (g, x) in x.chunks(32).enumerate() {
                let mut group = [0.0; 32];
                group[..x.len()].copy_from_slice(x);
                let [first_half, second_half] = [0, 16].map(|half| sum(&group[half..half + 16]));
                sums[first * groups + g * beside + r - first] = [first_half, second_half, first_half + second_half];
                let eights = values[4 * (first * groups + g * beside) + r - first..].iter_mut().step_by(beside);
                for (k, eight) in eights.take(4).enumerate() {
                    *eight = from_fn(|lane| group[order.number(k, lane)] / order.factor(k));
                }
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
            Tile { first, rows, values: &self.values[4 * here.start..4 * here.end], sums: &self.sums[here] }
        })
    }
}

/// The sum of sixteen numbers, in eight running sums.
fn sum(x: &[f32]) -> f32 {
    (0..8).map(|i| x[i] + x[i + 8]).sum()
}
