//! The features of a text.

use super::PlacedSae;
use crate::InterpError;
use serde::Serialize;
use std::collections::BTreeMap;
use tiller_engine::{Controls, Edit, Engine, EngineError};

/// What to read.
#[derive(Clone, Debug)]
pub struct FeatureReading<'a> {
    pub tokens: &'a [u32],
    /// How many of the strongest features of each token to name.
    pub top: usize,
    /// How many of the strongest features of the text to follow through it.
    pub followed: usize,
    /// They act on the text as on a prompt.
    pub edits: &'a [Edit],
}

/// What an SAE finds in a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextFeatures {
    /// By position.
    pub tokens: Vec<TokenFeatures>,
    /// The features that are strongest anywhere after the first token, descending; of equal ones the lower number first.
    pub features: Vec<FeatureInText>,
}

/// One token's features.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenFeatures {
    /// Features that are not 0.
    pub active: u32,
    /// The strongest, descending.
    pub top: Vec<FeatureValue>,
    /// Length of what the SAE leaves out, over the length of the activation: `|x - x'| / |x|`.
    pub error: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FeatureValue {
    pub feature: u32,
    pub value: f32,
}

/// One feature through the text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeatureInText {
    pub feature: u32,
    /// Its largest value after the first token, and the position of that.
    pub max: f32,
    pub at: u32,
    /// By position, the first token's too.
    pub values: Vec<f32>,
}

/// Runs a text and encodes the activation of each token.
///
/// `progress` is told the work done and in all, in tokens. Errors when the SAE does not fit the model, the text is empty
/// or too long, an activation is not finite, or the work was cancelled.
pub async fn text_features(
    engine: &mut Engine,
    sae: &PlacedSae<'_>,
    what: &FeatureReading<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<TextFeatures, InterpError> {
    sae.check(engine)?;
    let tokens = what.tokens.len();
    if tokens == 0 {
        return Err(EngineError::Empty.into());
    }
    let texts = [what.tokens.to_vec()];
    let total = 2 * tokens as u64;
    let found = sae.activations(engine, &texts, what.edits, controls, |done, _| progress(done, total)).await?;
    let found = &found[0];
    let encoded = sae.encode(&found.read, controls, |done| progress(tokens as u64 + done, total)).await?;

    let rows = found.read.chunks_exact(sae.sae.d_in).zip(found.target.chunks_exact(sae.sae.d_out()));
    let token = |(features, (x, target)): (&Vec<(u32, f32)>, (&[f32], &[f32]))| {
        let error = share_left_out(&sae.reconstruct(features, x, target), target);
        TokenFeatures { active: features.len() as u32, top: strongest(features.clone(), what.top), error }
    };
    let of_tokens = encoded.iter().zip(rows).map(token).collect();

    // A text of one token has nothing else to rank by.
    let first = usize::from(tokens > 1);
    let mut largest: BTreeMap<u32, (f32, u32)> = BTreeMap::new();
    for (position, features) in encoded.iter().enumerate().skip(first) {
        for &(feature, value) in features {
            let entry = largest.entry(feature).or_insert((value, position as u32));
            if value > entry.0 {
                *entry = (value, position as u32);
            }
        }
    }
    let by_strength = strongest(largest.iter().map(|(&feature, &(max, _))| (feature, max)).collect(), what.followed);
    let follow = |FeatureValue { feature, value: max }: FeatureValue| {
        let at_token = |features: &Vec<(u32, f32)>| {
            features.binary_search_by_key(&feature, |&(number, _)| number).map_or(0.0, |n| features[n].1)
        };
        FeatureInText { feature, max, at: largest[&feature].1, values: encoded.iter().map(at_token).collect() }
    };
    Ok(TextFeatures { tokens: of_tokens, features: by_strength.into_iter().map(follow).collect() })
}

/// The `count` strongest, descending; of equal ones the lower number first.
pub(super) fn strongest(mut features: Vec<(u32, f32)>, count: usize) -> Vec<FeatureValue> {
    features.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    features.truncate(count);
    features.into_iter().map(|(feature, value)| FeatureValue { feature, value }).collect()
}

/// `|x - x'| / |x|`; 0 where both are 0.
fn share_left_out(reconstruction: &[f32], x: &[f32]) -> f64 {
    let squares = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|number| number * number).sum::<f64>();
    let left = squares(&mut x.iter().zip(reconstruction).map(|(&x, &r)| f64::from(x) - f64::from(r)));
    let all = squares(&mut x.iter().map(|&x| f64::from(x)));
    if left == 0.0 { 0.0 } else { (left / all.max(f64::MIN_POSITIVE)).sqrt() }
}
