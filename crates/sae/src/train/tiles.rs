//! Products of a batch with all features' encoders: nearly all of training's arithmetic.
//!
//! A tile of a few activations times a few features is summed in registers, eight numbers at a time.

use super::feature::Feature;

/// Of a tile.
const ROWS: usize = 3;
const COLS: usize = 4;

/// Eight numbers at once. Every function compiles to a few instructions and is inlined.
trait Eight {
    type V: Copy;

    fn zero() -> Self::V;
    fn load(x: &[f32; 8]) -> Self::V;
    /// `a * b + c`, rounded once or twice.
    fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn sum(x: Self::V) -> f32;
}

/// Plain arrays, which the compiler turns into whatever vector instructions it may assume.
struct Portable;

impl Eight for Portable {
    type V = [f32; 8];

    #[inline(always)]
    fn zero() -> [f32; 8] {
        [0.0; 8]
    }

    #[inline(always)]
    fn load(x: &[f32; 8]) -> [f32; 8] {
        *x
    }

    #[inline(always)]
    fn mul_add(a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn sum(x: [f32; 8]) -> f32 {
        x.iter().sum()
    }
}

/// AVX2 with fused multiplication and addition, on x86-64 processors that have it.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Eight, Feature};
    use std::arch::x86_64::*;

    /// Private to this module: [`products`] alone uses it, after it has asked the processor. That is why every instruction
    /// below is safe; and every load and store is of an array that is as long as the register, at any alignment.
    struct Avx2;

    impl Eight for Avx2 {
        type V = __m256;

        #[inline(always)]
        fn zero() -> __m256 {
            unsafe { _mm256_setzero_ps() }
        }

        #[inline(always)]
        fn load(x: &[f32; 8]) -> __m256 {
            unsafe { _mm256_loadu_ps(x.as_ptr()) }
        }

        #[inline(always)]
        fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }

        #[inline(always)]
        fn sum(x: __m256) -> f32 {
            let mut lanes = [0f32; 8];
            unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), x) };
            lanes.iter().sum()
        }
    }

    /// `None` where the processor has no AVX2.
    pub(super) fn products(inputs: &[f32], width: usize, features: &[Feature]) -> Option<Vec<f32>> {
        #[target_feature(enable = "avx2,fma")]
        fn with_avx2(inputs: &[f32], width: usize, features: &[Feature]) -> Vec<f32> {
            super::tiled::<Avx2>(inputs, width, features)
        }
        let is_here = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        // SAFETY: the processor has the instructions.
        is_here.then(|| unsafe { with_avx2(inputs, width, features) })
    }
}

/// Pre-activations without their bias, `[n, features]`, of inputs `[n, width]`.
pub(super) fn products(inputs: &[f32], width: usize, features: &[Feature]) -> Vec<f32> {
    #[cfg(target_arch = "x86_64")]
    if let Some(products) = avx2::products(inputs, width, features) {
        return products;
    }
    tiled::<Portable>(inputs, width, features)
}

#[inline(always)]
fn tiled<E: Eight>(inputs: &[f32], width: usize, features: &[Feature]) -> Vec<f32> {
    let rows = inputs.len() / width;
    let mut out = vec![0.0; rows * features.len()];
    let row = |r: usize| &inputs[r * width..(r + 1) * width];
    let encoder = |c: usize| features[c].encoder.values.as_slice();
    let (whole_rows, whole_cols) = (rows - rows % ROWS, features.len() - features.len() % COLS);
    for c in (0..whole_cols).step_by(COLS) {
        let encoders: [&[f32]; COLS] = std::array::from_fn(|i| encoder(c + i));
        for r in (0..whole_rows).step_by(ROWS) {
            let sums = tile::<E, ROWS, COLS>(std::array::from_fn(|i| row(r + i)), encoders);
            for (i, sums) in sums.iter().enumerate() {
                out[(r + i) * features.len() + c..][..COLS].copy_from_slice(sums);
            }
        }
    }
    // What is left over at both edges.
    for r in 0..rows {
        for c in (if r < whole_rows { whole_cols } else { 0 })..features.len() {
            out[r * features.len() + c] = tile::<E, 1, 1>([row(r)], [encoder(c)])[0][0];
        }
    }
    out
}

/// The dot products of `x` with `w`, all of equal length.
#[inline(always)]
fn tile<E: Eight, const R: usize, const C: usize>(x: [&[f32]; R], w: [&[f32]; C]) -> [[f32; C]; R] {
    let eights = x[0].len() / 8;
    let (x8, w8) = (x.map(|x| &x.as_chunks::<8>().0[..eights]), w.map(|w| &w.as_chunks::<8>().0[..eights]));
    let mut sums = [[E::zero(); C]; R];
    for i in 0..eights {
        let mut xs = [E::zero(); R];
        for r in 0..R {
            xs[r] = E::load(&x8[r][i]);
        }
        for c in 0..C {
            let w = E::load(&w8[c][i]);
            for r in 0..R {
                sums[r][c] = E::mul_add(xs[r], w, sums[r][c]);
            }
        }
    }
    let mut out = [[0.0; C]; R];
    for r in 0..R {
        for c in 0..C {
            let rest = x[r][8 * eights..].iter().zip(&w[c][8 * eights..]);
            out[r][c] = E::sum(sums[r][c]) + rest.map(|(x, w)| x * w).sum::<f32>();
        }
    }
    out
}

/// Of two vectors of equal length.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    tile::<Portable, 1, 1>([a], [b])[0][0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::random::Random;

    #[test]
    fn products_of_every_shape_are_those_in_double_precision() {
        let mut random = Random::new(3);
        for (rows, features, width) in [(1, 1, 2), (7, 9, 21), (6, 8, 64), (5, 3, 8)] {
            let mut numbers = |n: usize| (0..n).map(|_| random.gaussian()).collect::<Vec<f32>>();
            let inputs = numbers(rows * width);
            let features: Vec<Feature> =
                (0..features).map(|_| Feature::new(numbers(width), vec![0.0; width], 1.0)).collect();
            let found = [products(&inputs, width, &features), tiled::<Portable>(&inputs, width, &features)];
            for found in found {
                for (i, found) in found.iter().enumerate() {
                    let x = &inputs[i / features.len() * width..][..width];
                    let w = &features[i % features.len()].encoder.values;
                    let exact: f64 = x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
                    assert!((f64::from(*found) - exact).abs() < 1e-5 * width as f64);
                }
            }
        }
    }
}
