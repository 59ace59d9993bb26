//! Products of many activations with many rows of weights.

/// Bytes of weights that are read for one activation after another before the next weights are: they stay in the cache.
const TILE_BYTES: usize = 96 << 10;

/// `x W^T`: `x` is `[n, cols]`, `w` is `[rows, cols]`, the result `[n, rows]`. Each number is the same whatever its
/// neighbours are.
pub(crate) fn products(x: &[f32], w: &[f32], cols: usize) -> Vec<f32> {
    let rows = w.len() / cols;
    let mut out = vec![0.0; x.len() / cols * rows];
    let tile = (TILE_BYTES / size_of::<f32>() / cols).max(1);
    for (t, w) in w.chunks(tile * cols).enumerate() {
        for (x, out) in x.chunks_exact(cols).zip(out.chunks_exact_mut(rows)) {
            let out = &mut out[t * tile..];
            w.chunks_exact(cols).zip(out).for_each(|(w, out)| *out = dot(x, w));
        }
    }
    out
}

/// The dot product in eight running sums, which the compiler turns into vector instructions.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_in_double_precision_and_the_same_alone_as_among_others() {
        let number = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0;
        for (n, rows, cols) in [(1, 3, 5), (7, 300, 131), (4, 1, 8), (9, 17, 33)] {
            let x: Vec<f32> = (0..n * cols).map(number).collect();
            let w: Vec<f32> = (0..rows * cols).map(|i| number(i + 31)).collect();
            let all = products(&x, &w, cols);
            for i in 0..n {
                let x = &x[i * cols..(i + 1) * cols];
                assert_eq!(products(x, &w, cols), all[i * rows..(i + 1) * rows]);
                for r in 0..rows {
                    let exact: f64 = x.iter().zip(&w[r * cols..]).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
                    assert!((f64::from(all[i * rows + r]) - exact).abs() < 1e-5 * cols as f64);
                }
            }
        }
    }
}
