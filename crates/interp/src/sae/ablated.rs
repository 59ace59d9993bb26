//! What the model loses when a feature is taken away on texts where it is active.

use super::PlacedSae;
use crate::InterpError;
use crate::evidence::Estimate;
use crate::log_softmax::LogSoftmax;
use crate::shuffle::shuffled;
use serde::Serialize;
use std::sync::Arc;
use tiller_engine::{Controls, Edit, Engine, Logits, Operation, PatchRows, TapRows, Variant, Variants};

/// What to take away.
#[derive(Clone, Copy, Debug)]
pub struct FeatureAblation<'a> {
    /// Texts; those in which the feature is strongest are used.
    pub texts: &'a [Vec<u32>],
    /// Of which so many, at most.
    pub passages: usize,
    pub features: &'a [u32],
    /// One random feature for each.
    pub seeds: &'a [u32],
}

/// One feature's effect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AblatedFeature {
    pub feature: u32,
    /// Texts in which it was taken away, and tokens at which it was active there.
    pub passages: usize,
    pub tokens: usize,
    /// By how much the loss of the next token rises, nats: mean over the tokens at which the feature is active, then over
    /// passages. `None` where it is active nowhere.
    pub increase: Option<Estimate>,
    /// The same, at all tokens after the first at which it is active.
    pub increase_after: Option<Estimate>,
    /// `increase`'s mean where as much is taken away at the same tokens along another feature's direction: one for each
    /// seed.
    pub random: Vec<f64>,
}

/// Takes features away, one at a time: at every token at which the feature is active, what it writes there is subtracted
/// from the activation. What the SAE leaves out stays (Marks et al. 2024, "Sparse Feature Circuits", keep the error
/// term so), and the first token as it is.
///
/// `progress` is told the work done and in all, about in tokens. Errors when the SAE does not fit the model, there is no
/// such feature, an activation or an output is not finite, or the work was cancelled.
pub async fn feature_ablation(
    engine: &mut Engine,
    sae: &PlacedSae<'_>,
    what: &FeatureAblation<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<Vec<AblatedFeature>, InterpError> {
    sae.check(engine)?;
    let last = sae.sae.d_sae - 1;
    if let Some(&feature) = what.features.iter().find(|&&feature| feature as usize > last) {
        return Err(InterpError::NoFeature { feature: feature as usize, last });
    }
    let texts: Vec<Vec<u32>> = what.texts.iter().filter(|text| text.len() > 2).cloned().collect();
    let tokens: u64 = texts.iter().map(|text| text.len() as u64).sum();
    // A passage is about as long as the mean text.
    let runs = (what.features.len() * what.passages.min(texts.len()) * (2 + what.seeds.len())) as u64;
    let total = tokens * (2 + runs / texts.len().max(1) as u64);
    let found = sae.activations(engine, &texts, &[], controls, |done, _| progress(done, total)).await?;
    let mut encoded = Vec::with_capacity(texts.len());
    let mut done = tokens;
    for of_text in &found {
        encoded.push(sae.encode(&of_text.read, controls, |rows| progress((done + rows).min(total), total)).await?);
        done += (of_text.read.len() / sae.sae.d_in) as u64;
    }
    let mut ablated = Vec::with_capacity(what.features.len());
    for &feature in what.features {
        let value = |at: &Vec<(u32, f32)>| {
            at.binary_search_by_key(&feature, |&(n, _)| n).ok().map(|n| at[n].1).filter(|value| *value > 0.0)
        };
        // Tokens that have a next one, but for the first.
        let active = |text: usize| -> Vec<(u32, f32)> {
            let places = (0u32..).zip(&encoded[text]).take(texts[text].len() - 1).skip(1);
            places.filter_map(|(position, at)| Some((position, value(at)?))).collect()
        };
        let largest = |active: &[(u32, f32)]| active.iter().map(|&(_, value)| value).fold(0.0, f32::max);
        let mut passages: Vec<(usize, Vec<(u32, f32)>)> = (0..texts.len()).map(|text| (text, active(text))).collect();
        passages.retain(|(_, active)| !active.is_empty());
        passages.sort_by(|a, b| largest(&b.1).total_cmp(&largest(&a.1)).then(a.0.cmp(&b.0)));
        passages.truncate(what.passages);
        let random = |&seed: &u32| {
            let order = shuffled(u64::from(seed), sae.sae.d_sae).into_iter().map(|n| n as u32);
            order.filter(|&other| other != feature).take(1).next()
        };
        let directions: Vec<u32> = [feature].into_iter().chain(what.seeds.iter().filter_map(random)).collect();
        let (mut at, mut after) = (vec![Vec::new(); directions.len()], Vec::new());
        for (text, active) in &passages {
            let of_text = &found[*text];
            let edit = |&direction: &u32| {
                let row = |&(position, value): &(u32, f32)| {
                    let (d_in, d_out) = (sae.sae.d_in, sae.sae.d_out());
                    let x = &of_text.read[position as usize * d_in..][..d_in];
                    let target = &of_text.target[position as usize * d_out..][..d_out];
                    (position, without(sae, (feature, value), direction, x, target))
                };
                let rows = PatchRows(active.iter().map(row).collect());
                Edit::new(sae.target(), Operation::Patch { rows: Arc::new(rows), coefficient: 1.0 })
            };
            let edits: Vec<Edit> = directions.iter().map(edit).collect();
            let report = |runs: u64, of: u64| {
                progress(
                    (done + runs * texts[*text].len() as u64 * (1 + edits.len() as u64) / of.max(1)).min(total),
                    total,
                );
            };
            let losses = losses(engine, &texts[*text], active[0].0, &edits, controls, report).await?;
            done += texts[*text].len() as u64 * (1 + edits.len() as u64);
            let first = active[0].0 as usize;
            let rise = |run: usize, position: usize| losses[run + 1][position] - losses[0][position];
            for (run, at) in at.iter_mut().enumerate() {
                let sum: f64 = active.iter().map(|&(position, _)| rise(run, position as usize)).sum();
                at.push(sum / active.len() as f64);
            }
            let later = first..texts[*text].len() - 1;
            after.push(later.clone().map(|position| rise(0, position)).sum::<f64>() / later.len() as f64);
        }
        let mean = |values: &Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        ablated.push(AblatedFeature {
            feature,
            passages: passages.len(),
            tokens: passages.iter().map(|(_, active)| active.len()).sum(),
            increase: Estimate::of(&at[0]),
            increase_after: Estimate::of(&after),
            random: if passages.is_empty() { Vec::new() } else { at[1..].iter().map(mean).collect() },
        });
    }
    progress(total, total);
    Ok(ablated)
}

/// The activation `target` less what a feature of that value writes; or as much along another's direction.
fn without(sae: &PlacedSae<'_>, (feature, value): (u32, f32), along: u32, x: &[f32], target: &[f32]) -> Vec<f32> {
    // What is written is linear in features; where activations are normalised, by the scale of this one.
    let nothing = sae.reconstruct(&[], x, target);
    let of = |feature: u32, value: f32| -> Vec<f32> {
        let written = sae.reconstruct(&[(feature, value)], x, target);
        written.iter().zip(&nothing).map(|(w, n)| w - n).collect()
    };
    let own = of(feature, value);
    let taken = if along == feature {
        own
    } else {
        let other = of(along, 1.0);
        let norm = crate::products::norm(&other);
        let factor = if norm > 0.0 { crate::products::norm(&own) / norm } else { 0.0 };
        other.iter().map(|x| (f64::from(*x) * factor) as f32).collect()
    };
    target.iter().zip(taken).map(|(x, taken)| x - taken).collect()
}

/// By run (the plain one, then one for each edit) and position: the negative log probability of the token that follows,
/// nats; 0 before `first`, where nothing differs.
async fn losses(
    engine: &mut Engine,
    text: &[u32],
    first: u32,
    edits: &[Edit],
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<Vec<Vec<f64>>, InterpError> {
    let positions = first..text.len() as u32;
    let plain = Variant { edit: None, positions: positions.clone() };
    let edited = (0..edits.len()).map(|edit| Variant { edit: Some(edit), positions: positions.clone() });
    let runs: Vec<Variant> = std::iter::once(plain).chain(edited).collect();
    let mut losses = vec![vec![0.0; text.len()]; runs.len()];
    let mut overdriven = false;
    let variants = Variants { tokens: text, edits, runs: &runs, rows: TapRows::All, logits: Logits::All };
    engine
        .run_variants(&variants, controls, progress, |run, position, logits| {
            let Some(&next) = text.get(position as usize + 1) else { return };
            match LogSoftmax::of(logits) {
                Some(distribution) => losses[run][position as usize] = -distribution.at(next as usize),
                None => overdriven = true,
            }
        })
        .await?;
    if overdriven { Err(InterpError::Overdriven) } else { Ok(losses) }
}
