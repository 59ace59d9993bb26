//! Where training starts: the activations' scale and middle, and the features' first directions.

use super::feature::Feature;
use super::random::Random;
use super::{Method, TrainError};

/// Steps of Weiszfeld's: each is a pass over the sample.
const MEDIAN_STEPS: usize = 12;

/// How activations lie.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// What they are multiplied with, so that their mean length is `sqrt(width)`.
    pub scale: f32,
    /// Their geometric median, after that: the mean is drawn away by a few that are much longer than the others.
    pub median: Vec<f32>,
}

/// Of a sample, `[n, width]`.
pub(super) fn layout(sample: &[f32], width: usize) -> Result<Layout, TrainError> {
    let length = |x: &[f32]| x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let rows = sample.len() / width;
    let mean_length = sample.chunks_exact(width).map(length).sum::<f64>() / rows as f64;
    if !mean_length.is_finite() || mean_length <= 0.0 {
        return Err(TrainError::Degenerate);
    }
    // Weiszfeld 1937: a mean in which each weighs as its distance is small.
    let mut median = vec![0f64; width];
    for step in 0..=MEDIAN_STEPS {
        let (mut sum, mut weights) = (vec![0f64; width], 0.0);
        for x in sample.chunks_exact(width) {
            let distance = x.iter().zip(&median).map(|(&x, m)| (f64::from(x) - m).powi(2)).sum::<f64>().sqrt();
            let weight = if step == 0 { 1.0 } else { 1.0 / distance.max(1e-6 * mean_length) };
            weights += weight;
            sum.iter_mut().zip(x).for_each(|(sum, &x)| *sum += weight * f64::from(x));
        }
        median = sum.into_iter().map(|sum| sum / weights).collect();
    }
    let scale = (width as f64).sqrt() / mean_length;
    let median = median.into_iter().map(|m| (m * scale) as f32).collect();
    Ok(Layout { scale: scale as f32, median })
}

/// Features of random directions, which they also read along: at first the encoder is the decoder's transpose (Gao et al.
/// 2024, section 2.4).
pub(super) fn features(
    method: Method,
    d_sae: usize,
    width: usize,
    first_threshold: f32,
    random: &mut Random,
) -> Vec<Feature> {
    let feature = |_| {
        let mut direction: Vec<f32> = (0..width).map(|_| random.gaussian()).collect();
        normalise(&mut direction);
        match method {
            Method::MatchingPursuit { .. } => Feature::tied(direction),
            _ => Feature::new(direction.clone(), direction, first_threshold),
        }
    };
    (0..d_sae).map(feature).collect()
}

/// Makes a vector's length 1; one of length 0 stays.
pub(super) fn normalise(x: &mut [f32]) {
    let length = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        let factor = (1.0 / length) as f32;
        x.iter_mut().for_each(|x| *x *= factor);
    }
}
