//! Edits along directions.

use std::ops::Range;

use super::{Bound, Recorded, Recorder, along, edits::When};
use crate::act::Act;
use crate::grid::Grid;
use crate::kernel::Kernel;
use crate::vector::Vector;

/// Directions that an edit can have: `amounts` in `shaders/edit_directions.wgsl` holds as many.
const MOST_DIRECTIONS: usize = 256;

/// What an edit does with the coordinate `s_k = x . a_k` along each of its directions; c is the edit's coefficient.
#[derive(Clone, Copy, Debug)]
pub enum Coordinate<'a> {
    /// `f = c (s_k + offset_k)`. With a = b = v of unit length, `c = -1` projects v out and `c = k - 1` multiplies the
    /// component along v by k; otherwise any linear map of low rank, and with offsets an affine one, such as LEACE
    /// (Belrose et al. 2023).
    Affine { offsets: Option<&'a Vector> },
    /// `f = c (clamp(s_k, low, high) - s_k)`: caps the component.
    Clamp { low: f32, high: f32 },
    /// `f = -c max(s_k, 0)`: suppresses a component that points one way.
    OneSided,
}

impl Recorder {
    /// `x + sum_k f(s_k) b_k`, in place, with the coordinates `s_k = x . a_k` of x as it was before; then, if
    /// `keep_norm`, rescaled to the length that x had (unless nothing is left of it). x stands for the given columns of
    /// a row; `read` and `write` hold the a_k and the b_k one after the other, `[directions, columns]`.
    #[allow(clippy::too_many_arguments)]
    pub fn edit_directions(
        &mut self,
        x: Act,
        columns: Range<u32>,
        read: &Vector,
        write: &Vector,
        map: Coordinate,
        keep_norm: bool,
        when: When,
    ) -> Act {
        let width = columns.len();
        let rank = read.len().checked_div(width).unwrap_or(0);
        self.expect(rank * width == read.len() && write.len() == read.len(), || {
            format!("directions of {} and {} numbers for {width} columns", read.len(), write.len())
        });
        self.expect((1..=MOST_DIRECTIONS).contains(&rank), || {
            format!("{rank} directions in one edit, of {MOST_DIRECTIONS}")
        });
        let (mut dims, mut bound) = self.edit(&x, &columns, when);
        let (kind, offsets, low, high) = match map {
            Coordinate::Affine { offsets } => (0, offsets, 0.0, 0.0),
            Coordinate::Clamp { low, high } => (1, None, low, high),
            Coordinate::OneSided => (2, None, 0.0, 0.0),
        };
        if let Some(offsets) = offsets {
            self.expect(offsets.len() == rank, || format!("{} offsets for {rank} directions", offsets.len()));
        }
        self.expect(low <= high, || format!("a cap between {low} and {high}"));
        // WGSL need not know infinities.
        let finite = |bound: f32| bound.clamp(f32::MIN, f32::MAX).to_bits();
        dims.extend([rank as u32, kind, u32::from(offsets.is_some()), finite(low), finite(high), u32::from(keep_norm)]);
        bound.extend([Bound::Memory(read.memory()), Bound::Memory(write.memory())]);
        bound.push(offsets.map_or(Bound::Unused, |offsets| Bound::Memory(offsets.memory())));
        let grid = Grid { across: 1, along: along(&x) };
        self.recorded.push(Recorded { kernels: vec![Kernel::EditDirections], dims, bound, grid });
        x
    }
}
