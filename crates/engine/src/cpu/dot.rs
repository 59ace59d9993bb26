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
            let pairs = weights.chunks(2 * row_bytes).zip(out.chunks_mut(2 * n));
            for (weights, out) in pairs {
                let (first, second) = weights.split_at(row_bytes);
                let at = tile.first..tile.first + tile.rows;
                match (tile.rows, second.is_empty()) {
                    (1, false) => {
                        let [[a], [b]] = dots::<S, B, 1, 2>([first, second], tile);
                        (out[at.start], out[n + at.start]) = (a, b);
                    }
                    (1, true) => out[at].copy_from_slice(&dots::<S, B, 1, 1>([first], tile)[0]),
                    (_, pair) => {
                        out[at.clone()].copy_from_slice(&dots::<S, B, ROWS, 1>([first], tile)[0]);
                        if !pair {
                            out[n..][at].copy_from_slice(&dots::<S, B, ROWS, 1>([second], tile)[0]);
                        }
                    }
                }
            }
        }
    }
}

/// `C` rows of weights times each of `R` rows. What is computed for a pair is the same whatever `R` and `C` are.
#[inline(always)]
fn dots<S: Simd, B: Blocks, const R: usize, const C: usize>(weights: [&[u8]; C], x: Tile) -> [[f32; R]; C] {
    let mut sums = [Sums::<S, R> { scaled: [S::splat(0.0); R], offset: [0.0; R] }; C];
    let (x, of_x) = (x.values.as_chunks::<R>().0.as_chunks::<4>().0, x.sums.as_chunks::<R>().0);
    let blocks = weights[0].len() / B::BYTES;
    for (b, (x, of_x)) in x.chunks_exact(B::GROUPS).zip(of_x.chunks_exact(B::GROUPS)).take(blocks).enumerate() {
        let block = weights.map(|weights| &weights[b * B::BYTES..][..B::BYTES]);
        let scales = block.map(|block| B::scales::<S>(block));
        for g in 0..B::GROUPS {
            for c in 0..C {
                sums[c].add_group::<B>(block[c], &scales[c], g, &x[g], &of_x[g]);
            }
        }
    }
    if let (Some(x), Some(of_x)) = (x.get(blocks * B::GROUPS), of_x.get(blocks * B::GROUPS)) {
        for (sums, weights) in sums.iter_mut().zip(weights) {
            let block = filled_up(&weights[blocks * B::BYTES..]);
            sums.add_group::<B>(&block, &B::scales::<S>(&block), 0, x, of_x);
        }
    }
    sums.map(|sums| from_fn(|r| S::sum(sums.scaled[r]) + sums.offset[r]))
}

/// The end of a row that is no whole number of groups, and zeros after it: only formats without blocks have such rows.
#[inline(always)]
pub(super) fn filled_up(rest: &[u8]) -> [u8; 128] {
    let mut block = [0; 128];
    block[..rest.len()].copy_from_slice(rest);
    block
}

#[derive(Clone, Copy)]
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
