//! What a feature writes: the tokens that it makes likelier, and the features that point its way.

use super::PlacedSae;
use crate::InterpError;
use crate::steer::random_direction;
use serde::Serialize;
use tiller_engine::{Controls, Engine, NormKind, Site};
use tiller_sae::Sae;

/// Root of the mean square of what is given to the final norm: so much more than its epsilon that nothing is seen of it.
const LENGTH: f64 = 100.0;

/// A feature's direct effect on the logits, for each unit of the feature.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeatureLogits {
    pub feature: u32,
    /// Of its direction.
    pub norm: f32,
    /// The logits that it raises most, descending.
    pub positive: Vec<TokenLogit>,
    /// The logits that it lowers most, ascending.
    pub negative: Vec<TokenLogit>,
    /// The largest logit of each random direction as long as the feature's: a feature that raises none further has not
    /// been shown to name any token.
    pub random_largest: Vec<f32>,
    /// The smallest, likewise.
    pub random_smallest: Vec<f32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TokenLogit {
    pub token: u32,
    pub logit: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NearFeature {
    pub feature: u32,
    pub cosine: f32,
}

/// The logits of a feature's direction: `W_U (gain * d)`, d centred first where the final norm is a LayerNorm. That is the
/// direct path to the logits with the final norm's gain folded into the unembedding, and without the norm's scale, which
/// depends on the rest of the stream: for each unit of the feature, the logits move by this over that scale. What later
/// blocks make of the feature is not in it. A soft cap of the logits is undone.
///
/// `seeds`: one random direction for each, of the same length. Errors when the SAE does not fit the model, there is no
/// such feature, what it writes is not added to the residual stream, or the work was cancelled.
pub async fn feature_logits(
    engine: &mut Engine,
    sae: &PlacedSae<'_>,
    feature: usize,
    top: usize,
    seeds: &[u32],
    controls: &impl Controls,
) -> Result<FeatureLogits, InterpError> {
    sae.check(engine)?;
    if feature >= sae.sae.d_sae {
        return Err(InterpError::NoFeature { feature, last: sae.sae.d_sae - 1 });
    }
    let is_in_stream = matches!(
        sae.target(),
        Site::Embed | Site::ResidPre(_) | Site::AttnOut(_) | Site::ResidMid(_) | Site::MlpOut(_) | Site::ResidPost(_)
    );
    if !is_in_stream {
        return Err(InterpError::NoDirectLogits { site: sae.target() });
    }
    let width = sae.sae.d_out();
    let direction = sae.sae.direction(feature);
    let norm = length(direction);
    let is_centred = engine.config().norm.kind == NormKind::Layer;

    // A row of zeros gives what is added whatever the stream holds: biases of the norm and of the unembedding.
    let mut rows = vec![0.0; width];
    let mut factors = vec![0.0];
    let randoms = seeds.iter().map(|&seed| random_direction(u64::from(seed), width));
    for direction in std::iter::once(direction.to_vec()).chain(randoms) {
        let mut direction: Vec<f64> = direction.into_iter().map(f64::from).collect();
        let as_long = direction.iter().map(|d| d * d).sum::<f64>().sqrt();
        let to_norm = if as_long > 0.0 { norm / as_long } else { 0.0 };
        if is_centred {
            let mean = direction.iter().sum::<f64>() / width as f64;
            direction.iter_mut().for_each(|d| *d -= mean);
        }
        // The norm divides by this row's own root of the mean square.
        let scale = (direction.iter().map(|d| d * d).sum::<f64>() / width as f64).sqrt();
        let given = if scale > 0.0 { LENGTH / scale } else { 0.0 };
        rows.extend(direction.iter().map(|d| (d * given) as f32));
        factors.push(scale * to_norm);
    }
    let cap = engine.config().logit_soft_cap.map(f64::from);
    let mut constants = Vec::new();
    let mut found = Vec::new();
    engine
        .unembed(
            &rows,
            controls,
            |_, _| {},
            |row, logits| {
                let logits: Vec<f64> = logits.iter().map(|&logit| uncapped(f64::from(logit), cap)).collect();
                match row {
                    0 => constants = logits,
                    _ => {
                        let moved =
                            logits.iter().zip(&constants).map(|(logit, constant)| (logit - constant) * factors[row]);
                        found.push(moved.map(|logit| logit as f32).collect::<Vec<f32>>());
                    }
                }
            },
        )
        .await?;
    if found.iter().flatten().any(|logit| !logit.is_finite()) {
        return Err(InterpError::NotFinite { site: Site::Logits });
    }
    let extremes =
        |logits: &Vec<f32>, larger: fn(f32, f32) -> f32| logits.iter().copied().reduce(larger).unwrap_or(0.0);
    Ok(FeatureLogits {
        feature: feature as u32,
        norm: norm as f32,
        positive: first_tokens(&found[0], top, |a, b| b.total_cmp(&a)),
        negative: first_tokens(&found[0], top, |a, b| a.total_cmp(&b)),
        random_largest: found[1..].iter().map(|logits| extremes(logits, f32::max)).collect(),
        random_smallest: found[1..].iter().map(|logits| extremes(logits, f32::min)).collect(),
    })
}

/// The features whose directions have the largest cosine with a feature's, descending, itself left out.
pub fn nearest_features(sae: &Sae, feature: usize, count: usize) -> Result<Vec<NearFeature>, InterpError> {
    if feature >= sae.d_sae {
        return Err(InterpError::NoFeature { feature, last: sae.d_sae - 1 });
    }
    let own = sae.direction(feature);
    let own_length = length(own);
    let cosine = |other: usize| {
        let direction = sae.direction(other);
        let product: f64 = own.iter().zip(direction).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        let lengths = own_length * length(direction);
        let cosine = if lengths > 0.0 { product / lengths } else { 0.0 };
        NearFeature { feature: other as u32, cosine: cosine as f32 }
    };
    let mut near: Vec<NearFeature> = (0..sae.d_sae).filter(|&other| other != feature).map(cosine).collect();
    near.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
    near.truncate(count);
    Ok(near)
}

fn length(direction: &[f32]) -> f64 {
    direction.iter().map(|&d| f64::from(d).powi(2)).sum::<f64>().sqrt()
}

/// The logit before a soft cap, `cap * tanh(logit / cap)`. What the cap has flattened beyond f32's precision comes back as
/// the largest that it tells apart.
fn uncapped(logit: f64, cap: Option<f64>) -> f64 {
    match cap {
        Some(cap) => cap * (logit / cap).clamp(-1.0 + 1e-7, 1.0 - 1e-7).atanh(),
        None => logit,
    }
}

/// The `count` tokens that come first; of equal ones the lower id.
fn first_tokens(logits: &[f32], count: usize, order: fn(f32, f32) -> std::cmp::Ordering) -> Vec<TokenLogit> {
    let before = |&a: &u32, &b: &u32| order(logits[a as usize], logits[b as usize]).then(a.cmp(&b));
    let mut tokens: Vec<u32> = (0..logits.len() as u32).collect();
    let count = count.min(tokens.len());
    if count > 0 {
        tokens.select_nth_unstable_by(count - 1, before);
    }
    tokens.truncate(count);
    tokens.sort_unstable_by(before);
    tokens.into_iter().map(|token| TokenLogit { token, logit: logits[token as usize] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soft_cap_is_undone() {
        for logit in [-40.0, -3.0, 0.0, 12.5, 90.0f64] {
            let capped = 30.0 * (logit / 30.0).tanh();
            assert!((uncapped(capped, Some(30.0)) - logit).abs() < 1e-6 * logit.abs().max(1.0));
        }
        assert!(uncapped(30.0, Some(30.0)).is_finite());
    }

    #[test]
    fn tokens_come_in_their_order_both_ways() {
        let logits = [0.0, 3.0, -2.0, 3.0];
        let up: Vec<u32> = first_tokens(&logits, 3, |a, b| b.total_cmp(&a)).iter().map(|found| found.token).collect();
        let down: Vec<u32> = first_tokens(&logits, 9, |a, b| a.total_cmp(&b)).iter().map(|found| found.token).collect();
        assert_eq!((up, down), (vec![1, 3, 0], vec![2, 0, 1, 3]));
    }
}
