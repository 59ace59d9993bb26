//! What a feature writes: the tokens that it makes likelier, and the features that point its way.

use super::PlacedSae;
use crate::InterpError;
use crate::lens::largest;
use crate::neurons::{WrittenToken, logits_of};
use crate::products::norm;
use crate::steer::random_direction;
use serde::Serialize;
use tiller_engine::{Controls, Engine, Site};
use tiller_sae::Sae;

/// A feature's direction in the vocabulary's terms.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeatureLogits {
    pub feature: u32,
    /// L2 norm of the direction: how far one unit of the feature moves the activation.
    pub norm: f32,
    /// What the feature raises most, descending.
    pub raises: Vec<WrittenToken>,
    /// What it lowers most: the lowest first.
    pub lowers: Vec<WrittenToken>,
    /// The largest logit of each random direction: a feature that raises none further has not been shown to name a token.
    pub random_largest: Vec<f32>,
    /// The smallest, likewise.
    pub random_smallest: Vec<f32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NearFeature {
    pub feature: u32,
    pub cosine: f32,
}

/// The logits that a residual stream would give which held the feature's direction alone, at a root mean square of one
/// (the final norm divides by it anyway; its gain and the unembedding are the model's own), less those of an empty
/// stream, and less their mean over the vocabulary, on which no probability depends (TransformerLens's `center_unembed`).
/// That is the direct path alone: what later blocks make of the feature is not in it.
///
/// `seeds`: one random direction for each, of the same length, through the same path. Errors when the SAE does not fit
/// the model, there is no such feature, what it writes is not added to the residual stream, a logit is not finite, or
/// the work was cancelled.
pub async fn feature_logits(
    engine: &mut Engine,
    sae: &PlacedSae<'_>,
    feature: usize,
    top: usize,
    seeds: &[u32],
    controls: &impl Controls,
) -> Result<FeatureLogits, InterpError> {
    sae.check(engine)?;
    check(sae.sae, feature)?;
    let is_in_stream = matches!(
        sae.target(),
        Site::Embed | Site::ResidPre(_) | Site::AttnOut(_) | Site::ResidMid(_) | Site::MlpOut(_) | Site::ResidPost(_)
    );
    if !is_in_stream {
        return Err(InterpError::NoDirectLogits { site: sae.target() });
    }
    let direction = sae.sae.direction(feature).to_vec();
    let norm = norm(&direction) as f32;
    let mut vectors = vec![direction];
    vectors.extend(seeds.iter().map(|&seed| random_direction(u64::from(seed), sae.sae.d_out())));
    let (mut raises, mut lowers) = (Vec::new(), Vec::new());
    let (mut random_largest, mut random_smallest) = (Vec::new(), Vec::new());
    logits_of(engine, &vectors, controls, &mut |_, _| {}, |vector, logits| {
        let mean = logits.iter().map(|&logit| f64::from(logit)).sum::<f64>() / logits.len() as f64;
        let logits: Vec<f32> = logits.iter().map(|&logit| (f64::from(logit) - mean) as f32).collect();
        if vector == 0 {
            let named = |token: u32| WrittenToken { token, logit: logits[token as usize] };
            let negated: Vec<f32> = logits.iter().map(|x| -x).collect();
            raises = largest(&logits, top).into_iter().map(named).collect();
            lowers = largest(&negated, top).into_iter().map(named).collect();
        } else {
            random_largest.push(logits.iter().copied().fold(f32::MIN, f32::max));
            random_smallest.push(logits.iter().copied().fold(f32::MAX, f32::min));
        }
    })
    .await?;
    Ok(FeatureLogits { feature: feature as u32, norm, raises, lowers, random_largest, random_smallest })
}

/// The features whose directions have the largest cosine with a feature's, descending, itself left out. Errors when there
/// is no such feature.
pub fn nearest_features(sae: &Sae, feature: usize, count: usize) -> Result<Vec<NearFeature>, InterpError> {
    check(sae, feature)?;
    let own = sae.direction(feature);
    let own_norm = norm(own);
    let cosine = |other: usize| {
        let direction = sae.direction(other);
        let product: f64 = own.iter().zip(direction).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        let norms = own_norm * norm(direction);
        let cosine = if norms > 0.0 { product / norms } else { 0.0 };
        NearFeature { feature: other as u32, cosine: cosine as f32 }
    };
    let mut near: Vec<NearFeature> = (0..sae.d_sae).filter(|&other| other != feature).map(cosine).collect();
    near.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
    near.truncate(count);
    Ok(near)
}

fn check(sae: &Sae, feature: usize) -> Result<(), InterpError> {
    match feature < sae.d_sae {
        true => Ok(()),
        false => Err(InterpError::NoFeature { feature, last: sae.d_sae - 1 }),
    }
}
