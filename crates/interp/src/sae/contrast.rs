//! What tells two texts apart, by features.

use super::PlacedSae;
use crate::InterpError;
use crate::shuffle::shuffled;
use serde::Serialize;
use tiller_engine::{Controls, Engine};

/// The features in which two texts differ most.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SaeContrast {
    /// By the size of their difference, descending.
    pub features: Vec<ContrastedFeature>,
    /// The largest difference of any feature when the tokens are dealt to the two texts at random; one for each seed. A
    /// feature that differs by no more has not been shown to differ.
    pub shuffled_largest: Vec<f64>,
}

/// A feature's mean over the tokens of each text, but for their first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ContrastedFeature {
    pub feature: u32,
    pub mean_a: f64,
    pub mean_b: f64,
    /// `mean_a - mean_b`
    pub difference: f64,
}

/// Encodes two texts and compares each feature's means.
///
/// `progress` is told the work done and in all, in tokens. Errors when the SAE does not fit the model, a text has fewer
/// than two tokens or too many, an activation is not finite, or the work was cancelled.
pub async fn sae_contrast(
    engine: &mut Engine,
    sae: &PlacedSae<'_>,
    [a, b]: [&[u32]; 2],
    top: usize,
    seeds: &[u32],
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<SaeContrast, InterpError> {
    sae.check(engine)?;
    if let Some(short) = [a, b].into_iter().find(|text| text.len() < 2) {
        return Err(InterpError::TooLittleText { tokens: short.len().saturating_sub(1), needed: 1 });
    }
    let texts = [a.to_vec(), b.to_vec()];
    let tokens = (a.len() + b.len()) as u64;
    let found = sae.activations(engine, &texts, &[], controls, |done, _| progress(done, 2 * tokens)).await?;
    let mut features = Vec::new();
    for of_text in &found {
        let before = tokens + features.len() as u64;
        let rows = &of_text.read[sae.sae.d_in..];
        features.extend(sae.encode(rows, controls, |done| progress(before + done, 2 * tokens)).await?);
    }
    let of_a = a.len() - 1;
    let means = |order: &[usize]| {
        let mut means = vec![(0.0, 0.0); sae.sae.d_sae];
        for (place, &row) in order.iter().enumerate() {
            for &(feature, value) in &features[row] {
                let (mean_a, mean_b) = &mut means[feature as usize];
                match place < of_a {
                    true => *mean_a += f64::from(value) / of_a as f64,
                    false => *mean_b += f64::from(value) / (order.len() - of_a) as f64,
                }
            }
        }
        means
    };
    let in_order: Vec<usize> = (0..features.len()).collect();
    let mut contrasted: Vec<ContrastedFeature> = means(&in_order)
        .into_iter()
        .zip(0..)
        .map(|((mean_a, mean_b), feature)| ContrastedFeature { feature, mean_a, mean_b, difference: mean_a - mean_b })
        .filter(|found| found.difference != 0.0)
        .collect();
    contrasted.sort_by(|a, b| b.difference.abs().total_cmp(&a.difference.abs()).then(a.feature.cmp(&b.feature)));
    contrasted.truncate(top);
    let by_chance = |&seed: &u32| {
        let order = shuffled(u64::from(seed), features.len());
        means(&order).into_iter().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    Ok(SaeContrast { features: contrasted, shuffled_largest: seeds.iter().map(by_chance).collect() })
}
