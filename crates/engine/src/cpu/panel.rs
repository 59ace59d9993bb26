//! The product for many rows of activations: a panel of weights is unpacked once, into a buffer that is used again, and
//! multiplied tile by tile, so that every number that is loaded serves several sums in registers.

use super::blocks::Blocks;
use super::dot::filled_up;
use super::operand::{Operand, Tile};
use super::simd::{Kernel, Simd};
use std::array::from_fn;
use std::marker::PhantomData;

/// Rows of activations in a tile, and rows of weights: as many sums as leave registers for what they are made of.
const TILE: (usize, usize) = if cfg!(target_arch = "wasm32") { (2, 4) } else { (4, 3) };
pub(super) const TILE_ROWS: usize = TILE.0;
const TILE_COLS: usize = TILE.1;

/// Numbers in a panel, at the most: 128 kB, which stay in a core's second cache.
const PANEL: usize = 1 << 15;

/// Rows of weights that make a panel of `cols` columns.
pub(super) fn panel_rows(cols: usize) -> usize {
    (PANEL / cols.max(1)).clamp(TILE_COLS, 16 * TILE_COLS) / TILE_COLS * TILE_COLS
}

/// Unpacked weights: by tile, then by eight columns in the format's order, then by row.
#[derive(Default)]
pub(super) struct Panel(Vec<[f32; 8]>);

/// A group of 32 columns of a tile of weights.
type Group = [[[f32; 8]; TILE_COLS]; 4];

/// `W x` for every row of `x`, in tiles of [`TILE_ROWS`].
pub(super) struct Products<'a, B> {
    /// Whole rows of weights, `row_bytes` long each; at most [`panel_rows`].
    pub weights: &'a [u8],
    pub row_bytes: usize,
    pub x: &'a Operand,
    /// `[rows of weights, rows of x]`.
    pub out: &'a mut [f32],
    pub n: usize,
    pub panel: &'a mut Panel,
    pub format: PhantomData<B>,
}

impl<B: Blocks> Kernel for Products<'_, B> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Products { weights, row_bytes, x, out, n, panel: Panel(panel), .. } = self;
        let groups = x.groups();
        let tile_len = 4 * groups * TILE_COLS;
        panel.resize((out.len() / n).div_ceil(TILE_COLS) * tile_len, [0.0; 8]);
        for (r, row) in weights.chunks_exact(row_bytes).enumerate() {
            let tile = &mut panel[r / TILE_COLS * tile_len..][..tile_len];
            unpack::<S, B>(row, tile.as_chunks_mut().0.as_chunks_mut().0, r % TILE_COLS);
        }
        for x in x.tiles() {
            for (w, out) in panel.chunks_exact(tile_len).zip(out.chunks_mut(n * TILE_COLS)) {
                match x.rows {
                    1 => tile::<S, 1>(x, w, out, n),
                    2 if TILE_ROWS > 2 => tile::<S, 2>(x, w, out, n),
                    3 if TILE_ROWS > 3 => tile::<S, 3>(x, w, out, n),
                    _ => tile::<S, TILE_ROWS>(x, w, out, n),
                }
            }
        }
    }
}

/// Unpacks a row of weights to column `c` of a tile. Their parts stay in the format's order and as much too large as they
/// are: the activations are as much too small.
#[inline(always)]
fn unpack<S: Simd, B: Blocks>(row: &[u8], to: &mut [Group], c: usize) {
    let blocks = row.len() / B::BYTES;
    for (block, to) in row.chunks_exact(B::BYTES).zip(to.chunks_exact_mut(B::GROUPS)) {
        let scales = B::scales::<S>(block);
        for (g, to) in to.iter_mut().enumerate() {
            unpack_group::<S, B>(block, &scales, g, to, c);
        }
    }
    if let Some(to) = to.get_mut(blocks * B::GROUPS) {
        let block = filled_up(&row[blocks * B::BYTES..]);
        unpack_group::<S, B>(&block, &B::scales::<S>(&block), 0, to, c);
    }
}

#[inline(always)]
fn unpack_group<S: Simd, B: Blocks>(block: &[u8], scales: &B::Scales, g: usize, to: &mut Group, c: usize) {
    let parts = B::parts::<S>(block, g);
    let halves = |[low, high]: [f32; 2]| if B::HALVES { S::halves(low, high) } else { S::splat(low) };
    let scale = halves(B::scale(scales, g));
    let offset = B::offset(scales, g);
    for (k, to) in to.iter_mut().enumerate() {
        let numbers = if B::OFFSETS {
            S::mul_add(parts[k], scale, halves(offset.map(|offset| offset * B::ORDER.factor(k))))
        } else {
            S::mul(parts[k], scale)
        };
        S::store(numbers, &mut to[c]);
    }
}

/// `R` rows of activations times [`TILE_COLS`] rows of weights. Each sum runs over the columns in the same order, in
/// whatever tile it is.
#[inline(always)]
fn tile<S: Simd, const R: usize>(x: Tile, w: &[[f32; 8]], out: &mut [f32], n: usize) {
    let mut sums = [[S::v_zero(); TILE_COLS]; R];
    // One load of each row at a time: with two, a tab's sixteen registers do not do.
    for i in 0..S::VS {
        for (x, w) in x.values.as_chunks::<R>().0.iter().zip(w.as_chunks::<TILE_COLS>().0) {
            let w: [S::V; TILE_COLS] = from_fn(|c| S::v_load(&w[c], i));
            for r in 0..R {
                let x = S::v_load(&x[r], i);
                for c in 0..TILE_COLS {
                    sums[r][c] = S::v_mul_add(x, w[c], sums[r][c]);
                }
            }
        }
    }
    for (c, out) in out.chunks_exact_mut(n).enumerate() {
        for r in 0..R {
            out[x.first + r] = S::v_sum(sums[r][c]);
        }
    }
}
