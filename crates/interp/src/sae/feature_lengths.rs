//! How long features are together, beside what they write: a check of an SAE that needs no labels.

use super::PlacedSae;
use super::rows::Rows;
use crate::InterpError;
use serde::Serialize;
use tiller_engine::Controls;
use tiller_sae::{Activation, Sae};

/// If directions are nearly orthogonal, the features that write an activation are together about as long as it (Lee et al.
/// 2025, "Evaluating and Designing Sparse Autoencoders by Approximating Quasi-Orthogonality"): `|f| = |x - b|`, each
/// feature times the length of its direction. An SAE far below leaves much out; one far above writes things and takes
/// them back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FeatureLengths {
    /// `|f| / |x - b|`, mean over tokens.
    pub ratio: f64,
    /// Its standard deviation over tokens.
    pub deviation: f64,
    /// The number of features, the strongest first, at which that ratio would be nearest to 1; mean over tokens. Of a TopK
    /// SAE, of all features that are above 0 before the others are dropped.
    pub expected_l0: f64,
}

/// Activations of length 0 do not count; `None` where there are no others.
pub(super) async fn feature_lengths(
    sae: &PlacedSae<'_>,
    rows: &Rows,
    features: &[Vec<(u32, f32)>],
    controls: &impl Controls,
) -> Result<Option<FeatureLengths>, InterpError> {
    let norms = direction_lengths(sae.sae);
    let (d_in, d_out) = (sae.sae.d_in, sae.sae.d_out());
    let mut ratios = Vec::with_capacity(features.len());
    let mut expected = 0.0;
    // What is dropped is read again a part at a time: it is many times as much as what is kept.
    let open = undropped(sae.sae);
    let open = open.as_ref().map(|open| PlacedSae { sae: open, ..*sae });
    const ROWS: usize = 256;
    for (part, kept) in features.chunks(ROWS).enumerate() {
        let read = &rows.read[part * ROWS * d_in..][..kept.len() * d_in];
        let target = &rows.target[part * ROWS * d_out..][..kept.len() * d_out];
        let all = match &open {
            Some(open) => open.encode(read, controls, |_| {}).await?,
            None => kept.to_vec(),
        };
        let places = read.chunks_exact(d_in).zip(target.chunks_exact(d_out));
        for ((kept, all), (x, target)) in kept.iter().zip(&all).zip(places) {
            let length = squares(sae.unbiased(target, x).into_iter().map(f64::from)).sqrt();
            if length > 0.0 {
                ratios.push(together(kept, &norms) / length);
                expected += nearest_count(all, &norms, length) as f64;
            }
        }
    }
    let n = ratios.len() as f64;
    let ratio = ratios.iter().sum::<f64>() / n;
    let deviation = (ratios.iter().map(|r| (r - ratio).powi(2)).sum::<f64>() / n).sqrt();
    Ok((n > 0.0).then(|| FeatureLengths { ratio, deviation, expected_l0: expected / n }))
}

/// The SAE with nothing dropped for being one of too many; `None` where it drops nothing.
fn undropped(sae: &Sae) -> Option<Sae> {
    let drops = matches!(sae.activation, Activation::TopK { .. });
    drops.then(|| Sae { activation: Activation::Relu, ..sae.clone() })
}

fn squares(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.map(|x| x * x).sum()
}

fn direction_lengths(sae: &Sae) -> Vec<f64> {
    let length = |feature: usize| squares(sae.direction(feature).iter().map(|&x| f64::from(x))).sqrt();
    (0..sae.d_sae).map(length).collect()
}

/// `|f|`, each feature times its direction's length.
fn together(features: &[(u32, f32)], norms: &[f64]) -> f64 {
    squares(features.iter().map(|&(n, value)| f64::from(value) * norms[n as usize])).sqrt()
}

/// How many of the strongest features are together nearest to `length`.
fn nearest_count(features: &[(u32, f32)], norms: &[f64], length: f64) -> usize {
    let square = |&(n, value): &(u32, f32)| (f64::from(value) * norms[n as usize]).powi(2);
    let mut of_each: Vec<f64> = features.iter().map(square).collect();
    of_each.sort_unstable_by(|a, b| b.total_cmp(a));
    let mut sum = 0.0;
    let mut best = (length, 0);
    for (count, square) in (1..).zip(of_each) {
        sum += square;
        let away = (sum.sqrt() - length).abs();
        if away >= best.0 {
            break;
        }
        best = (away, count);
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steer::{random_direction, splitmix64};
    use tiller_engine::Site;
    use tiller_sae::Normalisation;

    /// Sums of `k` of many random directions of length 1, each times an exponentially distributed number.
    fn lengths_of_sums(d: usize, k: usize) -> FeatureLengths {
        let d_sae = 2048;
        let w_dec: Vec<f32> = (0..d_sae).flat_map(|seed| random_direction(seed, d)).collect();
        let sae = Sae {
            d_in: d,
            d_sae: d_sae as usize,
            w_enc: w_dec.clone(),
            b_enc: vec![0.0; d_sae as usize],
            w_dec,
            b_dec: vec![0.5; d],
            apply_b_dec_to_input: true,
            activation: Activation::JumpRelu { threshold: vec![0.0; d_sae as usize] },
            normalisation: Normalisation::None,
            transcoder: None,
        };
        let uniform = |i: usize| ((splitmix64(5, i as u64) >> 11) + 1) as f64 / (1u64 << 53) as f64;
        let token = |n: usize| -> Vec<(u32, f32)> {
            let feature = |i: usize| (splitmix64(9, (n * k + i) as u64) % d_sae) as u32;
            (0..k).map(|i| (feature(i), -uniform(n * k + i).ln() as f32)).collect()
        };
        let features: Vec<Vec<(u32, f32)>> = (0..1500).map(token).collect();
        let target: Vec<f32> = features.iter().flat_map(|of_token| sae.decode(of_token, &[])).collect();
        let rows = Rows { read: target.clone(), target, places: vec![(0, 1); 1500], left_out: 0 };
        let placed = PlacedSae { sae: &sae, site: Site::ResidPost(0), site_out: None, centred: false };
        pollster::block_on(feature_lengths(&placed, &rows, &features, &())).unwrap().unwrap()
    }

    #[test]
    fn features_of_a_random_dictionary_are_together_as_long_as_what_they_write() {
        // Computed apart, in numpy: |x| / |f| of 0.999 with a deviation of 0.026, and of 1.004 with 0.067.
        for (d, k, mean, deviation) in [(576, 32, 0.999, 0.026), (64, 8, 1.004, 0.067)] {
            let found = lengths_of_sums(d, k);
            // The mean of a reciprocal is above the reciprocal of the mean by the square of the relative deviation.
            let reciprocal = (1.0 + (found.deviation / found.ratio).powi(2)) / found.ratio;
            assert!((reciprocal - mean).abs() < 0.008, "{d}: {reciprocal}, {found:?}");
            assert!((found.deviation - deviation).abs() < 0.006, "{d}: {found:?}");
        }
    }

    #[test]
    fn as_many_features_are_expected_as_reach_the_length() {
        let features = [(0, 1.0), (1, 4.0), (2, 3.0), (3, 12.0f32)];
        let norms = [1.0, 1.0, 1.0, 0.25];
        // By length: 4, 3, 3, 1. The square of all is 35.
        for (length, expected) in [(4.0, 1), (4.4, 1), (4.6, 2), (5.8, 3), (5.99, 4), (90.0, 4), (0.5, 0)] {
            assert_eq!(nearest_count(&features, &norms, length), expected, "{length}");
        }
        assert!((together(&features, &norms) - 35f64.sqrt()).abs() < 1e-12);
    }
}
