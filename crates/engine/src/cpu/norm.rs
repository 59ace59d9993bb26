//! Norms of rows (Zhang and Sennrich 2019, "Root Mean Square Layer Normalization"; Ba et al. 2016, "Layer
//! Normalization").

use super::matrix::dot;
use tiller_model::NormKind;

/// What each row of `x` (`[rows, width]`) is divided by: the root of its mean square, about its mean where the norm
/// centres.
pub(super) fn scales(x: &[f32], width: usize, kind: NormKind, epsilon: f32) -> Vec<f32> {
    let mut centred = vec![0.0; width];
    let scale = |x: &[f32]| {
        let mean = mean_of(x, kind);
        centred.iter_mut().zip(x).for_each(|(centred, x)| *centred = x - mean);
        (dot(&centred, &centred) / width as f32 + epsilon).sqrt()
    };
    x.chunks_exact(width).map(scale).collect()
}

/// Each row of `x` (less its mean, where the norm centres) over its scale.
pub(super) fn divide(x: &mut [f32], width: usize, kind: NormKind, scales: &[f32]) {
    for (x, scale) in x.chunks_exact_mut(width).zip(scales) {
        let mean = mean_of(x, kind);
        x.iter_mut().for_each(|x| *x = (*x - mean) / scale);
    }
}

/// Each column of `x` times its gain, plus its bias.
pub(super) fn gain(x: &mut [f32], gain: &[f32], bias: Option<&[f32]>) {
    for x in x.chunks_exact_mut(gain.len()) {
        x.iter_mut().zip(gain).for_each(|(x, gain)| *x *= gain);
        if let Some(bias) = bias {
            x.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
        }
    }
}

/// The mean of a row; 0 for a norm that does not centre.
fn mean_of(x: &[f32], kind: NormKind) -> f32 {
    match kind {
        NormKind::Rms => 0.0,
        NormKind::Layer => x.iter().sum::<f32>() / x.len() as f32,
    }
}
