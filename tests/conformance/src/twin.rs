//! The operations in f64, written to be read.

/// `[rows, outputs]` of `x` `[rows, cols]` and `w` `[outputs, cols]`.
pub fn linear(x: &[f64], w: &[f32], cols: usize) -> Vec<f64> {
    x.chunks(cols).flat_map(|x| w.chunks(cols).map(|w| inner(x, w))).collect()
}

fn inner(x: &[f64], w: &[f32]) -> f64 {
    x.iter().zip(w).map(|(x, &w)| x * f64::from(w)).sum()
}

/// The size that each number of [`linear`] has where the signs of its terms are random: the root of their squares.
pub fn linear_scale(x: &[f64], w: &[f32], cols: usize) -> Vec<f64> {
    let scale = |x: &[f64], w: &[f32]| x.iter().zip(w).map(|(x, &w)| (x * f64::from(w)).powi(2)).sum::<f64>().sqrt();
    x.chunks(cols).flat_map(|x| w.chunks(cols).map(move |w| scale(x, w))).collect()
}

pub fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

pub fn rms_norm(x: &[f64], gain: &[f32], epsilon: f64) -> Vec<f64> {
    x.chunks(gain.len())
        .flat_map(|x| {
            let mean_square = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
            x.iter().zip(gain).map(move |(x, &gain)| x * f64::from(gain) / (mean_square + epsilon).sqrt())
        })
        .collect()
}

pub fn swiglu(gate_up: &[f64], width: usize) -> Vec<f64> {
    gate_up
        .chunks(2 * width)
        .flat_map(|row| {
            let (gate, up) = row.split_at(width);
            gate.iter().zip(up).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up)
        })
        .collect()
}

/// Rotates one head's vector. The angle is an f32 product, as every implementation in use computes it.
pub fn rotate(head: &mut [f64], position: u32, inverse_frequencies: &[f32], interleaved: bool) {
    let pairs = inverse_frequencies.len();
    for (pair, &frequency) in inverse_frequencies.iter().enumerate() {
        let (sine, cosine) = f64::from(position as f32 * frequency).sin_cos();
        let (a, b) = if interleaved { (2 * pair, 2 * pair + 1) } else { (pair, pair + pairs) };
        (head[a], head[b]) = (head[a] * cosine - head[b] * sine, head[b] * cosine + head[a] * sine);
    }
}

/// Attention of one query over keys and values, oldest first.
pub fn attend(query: &[f64], keys: &[Vec<f64>], values: &[Vec<f64>], scale: f64) -> Vec<f64> {
    let score = |key: &Vec<f64>| query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>() * scale;
    let scores: Vec<f64> = keys.iter().map(score).collect();
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
    let total: f64 = weights.iter().sum();
    (0..query.len())
        .map(|d| weights.iter().zip(values).map(|(weight, value)| weight * value[d]).sum::<f64>() / total)
        .collect()
}
