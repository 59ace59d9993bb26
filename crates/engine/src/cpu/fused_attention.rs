//! Attention whose scores nobody looks at: scores, their softmax and the mixing of values, a span of keys at a time.
//!
//! A span is worked on by itself, by the heads that share its keys together, and what the spans of a row have found is
//! put together at the end (Milakov and Gimelshein 2018, "Online normalizer calculation for softmax"). So a single row of
//! a long text is work for all cores, and no key or value is brought from memory twice. Where a row's spans lie depends
//! on the row alone.

use super::attention::Geometry;
use super::simd::{self, Kernel, Simd, exp};
use crate::parallel;
use std::array::from_fn;
use std::ops::Range;
use tiller_kernels::Row;

/// Keys in a span: those of a head stay in a core's second cache while its values are mixed.
const SPAN: usize = 256;

/// Keys whose scores are summed side by side, so that one sum need not wait for the other.
const BESIDE: usize = 4;

/// Eights of a value's numbers that are mixed side by side, in registers.
const EIGHTS: usize = 4;

/// Keys whose values are mixed before the next eights' turn: they stay in a core's first cache.
const MIXED: usize = 32;

/// Products below which handing work to other cores takes longer than doing it.
const WORTH_SHARING: usize = 1 << 17;

/// Attention of every row's queries over its own sequence: `[rows, heads * head_dim]`. `qkv`: `[rows, q | k | v]`, whose
/// queries are read; `keys` and `values`: the layer's cache.
pub(super) fn attention(
    qkv: &[f32],
    keys: &[f32],
    values: &[f32],
    rows: &[Row],
    layer: usize,
    geometry: &Geometry,
) -> Vec<f32> {
    let Geometry { heads, kv_heads, head_dim, .. } = *geometry;
    let (q_width, group) = (heads * head_dim, heads / kv_heads);
    let qkv_width = q_width + 2 * geometry.kv_width();
    let mut spans: Vec<(usize, usize, Range<usize>)> = Vec::new();
    for (r, row) in rows.iter().enumerate() {
        let (first, seen) = (row.kv_start as usize, geometry.visible(layer, row.position));
        for kv_head in 0..kv_heads {
            let starts = seen.clone().step_by(SPAN);
            spans.extend(starts.map(|start| (r, kv_head, first + start..first + seen.end.min(start + SPAN))));
        }
    }
    let of_span = |at: usize| {
        let (r, kv_head, span) = &spans[at];
        let queries = &qkv[r * qkv_width + kv_head * group * head_dim..][..group * head_dim];
        let mut found = vec![Found { mixed: vec![0.0; head_dim], ..Found::default() }; group];
        simd::run(Attend { queries, keys, values, span: span.clone(), kv_head: *kv_head, geometry, found: &mut found });
        found
    };
    let products = 2 * group * head_dim * spans.iter().map(|(_, _, span)| span.len()).sum::<usize>();
    let found: Vec<Vec<Found>> = match products > WORTH_SHARING {
        true => parallel::map(spans.len(), of_span),
        false => (0..spans.len()).map(of_span).collect(),
    };
    let mut z = vec![0.0; rows.len() * q_width];
    let mut rest = spans.iter().zip(found).peekable();
    for (head, z) in z.chunks_exact_mut(group * head_dim).enumerate() {
        let mut of_head: Vec<Vec<Found>> = Vec::new();
        while let Some((_, found)) = rest.next_if(|((r, kv_head, _), _)| r * kv_heads + kv_head == head) {
            of_head.push(found);
        }
        for (g, z) in z.chunks_exact_mut(head_dim).enumerate() {
            put_together(of_head.iter().map(|found| &found[g]), z);
        }
    }
    z
}

/// What one query has found in a span.
#[derive(Clone, Default)]
struct Found {
    /// The greatest score.
    max: f32,
    /// Of the exponentials of the scores less `max`.
    sum: f32,
    /// `[head_dim]`: the values, each times its exponential.
    mixed: Vec<f32>,
}

/// The values mixed over all spans.
fn put_together<'a>(spans: impl Iterator<Item = &'a Found> + Clone, z: &mut [f32]) {
    let max = spans.clone().map(|found| found.max).fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for found in spans {
        let factor = (found.max - max).exp();
        sum += factor * found.sum;
        z.iter_mut().zip(&found.mixed).for_each(|(z, x)| *z += factor * x);
    }
    z.iter_mut().for_each(|z| *z /= sum);
}

/// A span's keys and values, for the queries of the heads that share them.
struct Attend<'a> {
    /// `[heads, head_dim]`.
    queries: &'a [f32],
    /// `[rows of the cache, kv_heads * head_dim]`.
    keys: &'a [f32],
    values: &'a [f32],
    /// Rows of the cache.
    span: Range<usize>,
    kv_head: usize,
    geometry: &'a Geometry,
    /// By head.
    found: &'a mut [Found],
}

impl Kernel for Attend<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Geometry { head_dim, scale, soft_cap, .. } = *self.geometry;
        let width = self.geometry.kv_width();
        let of_head = self.kv_head * head_dim;
        let key = |at: usize| &self.keys[at * width + of_head..][..head_dim];
        let value = |at: usize| &self.values[at * width + of_head..][..head_dim];
        let count = self.span.len();
        for (q, found) in self.queries.chunks_exact(head_dim).zip(self.found) {
            let mut scores = [[f32::NEG_INFINITY; 8]; SPAN / 8];
            let used = &mut scores[..count.div_ceil(8)];
            let flat = &mut used.as_flattened_mut()[..count];
            let (four, rest) = flat.as_chunks_mut::<BESIDE>();
            let first_of_rest = self.span.start + four.len() * BESIDE;
            for (at, scores) in self.span.clone().step_by(BESIDE).zip(four) {
                *scores = dots::<S, BESIDE>(q, from_fn(|i| key(at + i)));
            }
            for (at, score) in (first_of_rest..).zip(rest) {
                [*score] = dots::<S, 1>(q, [key(at)]);
            }
            for score in flat {
                *score *= scale;
                if let Some(cap) = soft_cap {
                    *score = cap * (*score / cap).tanh();
                }
            }
            (found.max, found.sum) = exponentials::<S>(used);
            let weights = &used.as_flattened()[..count];
            mix::<S>(weights, self.span.start, value, &mut found.mixed);
        }
    }
}

/// `q` times each of `N` keys. What is computed for a key is the same whatever `N` is.
#[inline(always)]
fn dots<S: Simd, const N: usize>(q: &[f32], keys: [&[f32]; N]) -> [f32; N] {
    let (eights, rest) = q.as_chunks::<8>();
    let keys = keys.map(|key| key.as_chunks::<8>());
    let mut sums = [S::splat(0.0); N];
    for (j, q) in eights.iter().enumerate() {
        let q = S::load(q);
        for i in 0..N {
            sums[i] = S::mul_add(q, S::load(&keys[i].0[j]), sums[i]);
        }
    }
    from_fn(|i| S::sum(sums[i]) + rest.iter().zip(keys[i].1).map(|(q, k)| q * k).sum::<f32>())
}

/// Turns scores into the exponentials of what they are less than the greatest. Returns the greatest, and the sum.
#[inline(always)]
fn exponentials<S: Simd>(scores: &mut [[f32; 8]]) -> (f32, f32) {
    let mut greatest = S::splat(f32::NEG_INFINITY);
    for eight in scores.iter() {
        greatest = S::max(greatest, S::load(eight));
    }
    let mut lanes = [0.0; 8];
    S::store(greatest, &mut lanes);
    let max = lanes.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = S::splat(0.0);
    for eight in scores {
        let e = exp::<S>(S::mul_add(S::splat(max), S::splat(-1.0), S::load(eight)));
        sum = S::mul_add(e, S::splat(1.0), sum);
        S::store(e, eight);
    }
    (max, S::sum(sum))
}

/// Adds to `mixed` the values of the cache's rows from `first` on, each times its weight.
#[inline(always)]
fn mix<'a, S: Simd>(weights: &[f32], first: usize, values: impl Fn(usize) -> &'a [f32], mixed: &mut [f32]) {
    let (eights, rest) = mixed.as_chunks_mut::<8>();
    for (block, weights) in weights.chunks(MIXED).enumerate() {
        let first = first + block * MIXED;
        let (many, few) = eights.as_chunks_mut::<EIGHTS>();
        let after_many = many.len() * EIGHTS;
        for (j, eights) in many.iter_mut().enumerate() {
            mix_eights::<S, EIGHTS>(weights, |n| &values(first + n).as_chunks().0[j * EIGHTS..], eights);
        }
        for (j, eight) in few.iter_mut().enumerate() {
            mix_eights::<S, 1>(
                weights,
                |n| &values(first + n).as_chunks().0[after_many + j..],
                std::array::from_mut(eight),
            );
        }
        for (n, weight) in weights.iter().enumerate() {
            let tail = values(first + n).as_chunks::<8>().1;
            rest.iter_mut().zip(tail).for_each(|(z, v)| *z += weight * v);
        }
    }
}

#[inline(always)]
fn mix_eights<'a, S: Simd, const N: usize>(
    weights: &[f32],
    values: impl Fn(usize) -> &'a [[f32; 8]],
    mixed: &mut [[f32; 8]; N],
) {
    let mut sums: [S::F; N] = from_fn(|i| S::load(&mixed[i]));
    for (n, &weight) in weights.iter().enumerate() {
        let (weight, values) = (S::splat(weight), &values(n)[..N]);
        for i in 0..N {
            sums[i] = S::mul_add(weight, S::load(&values[i]), sums[i]);
        }
    }
    for i in 0..N {
        S::store(sums[i], &mut mixed[i]);
    }
}

#[cfg(test)]
mod tests;
