//! Products of a batch with all features' encoders: nearly all of training's arithmetic.
//!
//! A tile of a few activations times a few features is summed in registers, eight numbers at a time. Compiled twice where
//! the processor may have AVX2: for it, and for any.

use super::feature::Feature;

/// Of a tile. A tab's registers hold four numbers.
const ROWS: usize = if cfg!(target_arch = "wasm32") { 2 } else { 3 };
const COLS: usize = if cfg!(target_arch = "wasm32") { 2 } else { 4 };

/// Pre-activations without their bias, `[n, features]`, of inputs `[n, width]`.
pub(super) fn products(inputs: &[f32], width: usize, features: &[Feature]) -> Vec<f32> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        #[target_feature(enable = "avx2,fma")]
        fn with_avx2(inputs: &[f32], width: usize, features: &[Feature]) -> Vec<f32> {
            tiled::<true>(inputs, width, features)
        }
        // SAFETY: the processor has the instructions.
        return unsafe { with_avx2(inputs, width, features) };
    }
    tiled::<false>(inputs, width, features)
}

/// `FUSED`: multiplication and addition are one instruction.
#[inline(always)]
fn tiled<const FUSED: bool>(inputs: &[f32], width: usize, features: &[Feature]) -> Vec<f32> {
    let rows = inputs.len() / width;
    let mut out = vec![0.0; rows * features.len()];
    let row = |r: usize| &inputs[r * width..(r + 1) * width];
    let encoder = |c: usize| features[c].encoder.values.as_slice();
    let (whole_rows, whole_cols) = (rows - rows % ROWS, features.len() - features.len() % COLS);
    for c in (0..whole_cols).step_by(COLS) {
        let encoders: [&[f32]; COLS] = std::array::from_fn(|i| encoder(c + i));
        for r in (0..whole_rows).step_by(ROWS) {
            let sums = tile::<FUSED, ROWS, COLS>(std::array::from_fn(|i| row(r + i)), encoders);
            for (i, sums) in sums.iter().enumerate() {
                out[(r + i) * features.len() + c..][..COLS].copy_from_slice(sums);
            }
        }
    }
    // What is left over at both edges.
    for r in 0..rows {
        for c in (if r < whole_rows { whole_cols } else { 0 })..features.len() {
            out[r * features.len() + c] = tile::<FUSED, 1, 1>([row(r)], [encoder(c)])[0][0];
        }
    }
    out
}

#[inline(always)]
fn tile<const FUSED: bool, const R: usize, const C: usize>(x: [&[f32]; R], w: [&[f32]; C]) -> [[f32; C]; R] {
    let width = x[0].len();
    let eights = width / 8;
    let x8: [&[[f32; 8]]; R] = x.map(|x| &x.as_chunks::<8>().0[..eights]);
    let w8: [&[[f32; 8]]; C] = w.map(|w| &w.as_chunks::<8>().0[..eights]);
    let mut sums = [[[0f32; 8]; C]; R];
    for i in 0..eights {
        for r in 0..R {
            for c in 0..C {
                for lane in 0..8 {
                    sums[r][c][lane] = add::<FUSED>(x8[r][i][lane], w8[c][i][lane], sums[r][c][lane]);
                }
            }
        }
    }
    let rest = 8 * eights..width;
    std::array::from_fn(|r| {
        std::array::from_fn(|c| {
            let rest: f32 = x[r][rest.clone()].iter().zip(&w[c][rest.clone()]).map(|(x, w)| x * w).sum();
            sums[r][c].iter().sum::<f32>() + rest
        })
    })
}

#[inline(always)]
fn add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    // Without the instruction, `mul_add` is a call.
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Of two vectors of equal length.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    tile::<false, 1, 1>([a], [b])[0][0]
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
            let found = [products(&inputs, width, &features), tiled::<false>(&inputs, width, &features)];
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
