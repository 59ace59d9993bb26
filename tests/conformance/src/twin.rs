//! The operations in f64, written to be read.

use std::f64::consts::{PI, SQRT_2};

use tiller_kernels::{Activation, Heads, NormKind};

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

/// What a norm subtracts from a row, and what it divides by.
pub fn mean_and_scale(x: &[f64], kind: NormKind, epsilon: f64) -> (f64, f64) {
    let mean = match kind {
        NormKind::Rms => 0.0,
        NormKind::Layer => x.iter().sum::<f64>() / x.len() as f64,
    };
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
    (mean, (variance + epsilon).sqrt())
}

/// Rows of `gain.len()` numbers normalised; `bias` is as long, or empty.
pub fn norm(x: &[f64], kind: NormKind, gain: &[f32], bias: &[f32], epsilon: f64) -> Vec<f64> {
    x.chunks(gain.len())
        .flat_map(|x| {
            let (mean, scale) = mean_and_scale(x, kind, epsilon);
            let bias = |at: usize| bias.get(at).map_or(0.0, |&bias| f64::from(bias));
            x.iter().zip(gain).enumerate().map(move |(at, (x, &gain))| (x - mean) / scale * f64::from(gain) + bias(at))
        })
        .collect()
}

pub fn rms_norm(x: &[f64], gain: &[f32], epsilon: f64) -> Vec<f64> {
    norm(x, NormKind::Rms, gain, &[], epsilon)
}

pub fn activated(x: f64, activation: Activation) -> f64 {
    match activation {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::GeluTanh => x / 2.0 * (1.0 + ((2.0 / PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh()),
        Activation::GeluErf => x / 2.0 * (1.0 + error_function(x / SQRT_2)),
        Activation::Relu => x.max(0.0),
    }
}

/// `2 / sqrt(pi) * exp(-x^2) * sum of 2^n x^(2n + 1) / (2n + 1)!!` (Abramowitz and Stegun 1964, 7.1.6): all terms have
/// one sign.
pub fn error_function(x: f64) -> f64 {
    if x.abs() > 7.0 {
        return x.signum();
    }
    let mut term = x;
    let mut sum = x;
    for n in 1..400 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    2.0 / PI.sqrt() * (-x * x).exp() * sum
}

pub fn soft_capped(x: f64, cap: f64) -> f64 {
    cap * (x / cap).tanh()
}

/// `activation(gate) * up` of rows `[gate | up]`, `width` numbers each.
pub fn gated(gate_up: &[f64], width: usize, activation: Activation) -> Vec<f64> {
    gate_up
        .chunks(2 * width)
        .flat_map(|row| {
            let (gate, up) = row.split_at(width);
            gate.iter().zip(up).map(move |(&gate, up)| activated(gate, activation) * up)
        })
        .collect()
}

pub fn swiglu(gate_up: &[f64], width: usize) -> Vec<f64> {
    gated(gate_up, width, Activation::Silu)
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

/// Scaled, and where there is a cap capped, scores of one query against `keys`.
pub fn scores(query: &[f64], keys: &[Vec<f64>], heads: &Heads) -> Vec<f64> {
    let score = |key: &Vec<f64>| {
        let score = query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>() * f64::from(heads.scale);
        heads.soft_cap.map_or(score, |cap| soft_capped(score, f64::from(cap)))
    };
    keys.iter().map(score).collect()
}

pub fn softmax(scores: &[f64]) -> Vec<f64> {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

/// Values, `head_dim` numbers each, mixed by `weights`.
pub fn mix(weights: &[f64], values: &[Vec<f64>], head_dim: usize) -> Vec<f64> {
    (0..head_dim).map(|d| weights.iter().zip(values).map(|(weight, value)| weight * value[d]).sum::<f64>()).collect()
}
