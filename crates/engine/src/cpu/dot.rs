//! The fused product for a few rows of activations: weights are unpacked in registers and used at once.

use super::blocks::Blocks;
use super::operand::{GroupSums, Operand, Tile};
use super::simd::{Kernel, Simd};
use std::array::from_fn;
use std::marker::PhantomData;

/// Rows of activations that share what is unpacked. More would not fit into a tab's sixteen registers.
pub(super) const ROWS: usize = 2;

/// `W x` for every row of `x`, in tiles of [`ROWS`].
pub(super) struct Dots<'a, B> {
    /// Whole rows of weights, `row_bytes` long each.
    pub weights: &'a [u8],
    pub row_bytes: usize,
    pub x: &'a Operand,
    /// `[rows of weights, rows of x]`.
    pub out: &'a mut [f32],
    pub n: usize,
    pub format: PhantomData<B>,
}

impl<B: Blocks> Kernel for Dots<'_, B> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Dots { weights, row_bytes, x, out, n, .. } = self;
        for tile in x.tiles() {
            // Two rows of weights at once would share the loads of `x`, but do not fit into the registers either: slower.
            for (row, out) in weights.chunks_exact(row_bytes).zip(out.chunks_exact_mut(n)) {
                let out = &mut out[tile.first..tile.first + tile.rows];
                match tile.rows {
                    1 => out.copy_from_slice(&dots::<S, B, 1>(row, tile)),
                    _ => out.copy_from_slice(&dots::<S, B, ROWS>(row, tile)),
                }
            }
        }
    }
}

/// One row of weights times each of `R` rows. What is computed for a row is the same whatever `R` is.
#[inline(always)]
fn dots<S: Simd, B: Blocks, const R: usize>(weights: &[u8], x: Tile) -> [f32; R] {
    let mut sums = Sums::<S, R> { scaled: [S::splat(0.0); R], offset: [0.0; R] };
    let (x, of_x) = (x.values.as_chunks::<R>().0.as_chunks::<4>().0, x.sums.as_chunks::<R>().0);
    let blocks = weights.chunks_exact(B::BYTES);
    let (rest, done) = (blocks.remainder(), blocks.len() * B::GROUPS);
    for ((block, x), of_x) in blocks.zip(x.chunks_exact(B::GROUPS)).zip(of_x.chunks_exact(B::GROUPS)) {
        let scales = B::scales::<S>(block);
        for g in 0..B::GROUPS {
            sums.add_group::<B>(block, &scales, g, &x[g], &of_x[g]);
        }
    }
    if let (Some(x), Some(of_x)) = (x.get(done), of_x.get(done)) {
        let block = filled_up(rest);
        sums.add_group::<B>(&block, &B::scales::<S>(&block), 0, x, of_x);
    }
    from_fn(|r| S::sum(sums.scaled[r]) + sums.offset[r])
}

/// The end of a row that is no whole number of groups, and zeros after it: only formats without blocks have such rows.
#[inline(always)]
pub(super) fn filled_up(rest: &[u8]) -> [u8; 128] {
    let mut block = [0; 128];
    block[..rest.len()].copy_from_slice(rest);
    block
}

struct Sums<S: Simd, const R: usize> {
    scaled: [S::F; R],
    offset: [f32; R],
}

impl<S: Simd, const R: usize> Sums<S, R> {
    #[inline(always)]
    fn add_group<B: Blocks>(
        &mut self,
        block: &[u8],
        scales: &B::Scales,
        g: usize,
        x: &[[[f32; 8]; R]; 4],
        of_x: &[GroupSums; R],
    ) {
        let parts = B::parts::<S>(block, g);
        let [low, high] = B::scale(scales, g);
        let scale = if B::HALVES { S::halves(low, high) } else { S::splat(low) };
        for r in 0..R {
            let mut sum = S::mul(parts[0], S::load(&x[0][r]));
            for k in 1..4 {
                sum = S::mul_add(parts[k], S::load(&x[k][r]), sum);
            }
            self.scaled[r] = S::mul_add(sum, scale, self.scaled[r]);
        }
        if !B::OFFSETS {
            return;
        }
        let [low, high] = B::offset(scales, g);
        for r in 0..R {
            let [first, second, both] = of_x[r];
            self.offset[r] += if B::HALVES { low * first + high * second } else { low * both };
        }
    }
}
