//! What one checkpoint has become of another, as a vector: the mean difference of what the two leave at the same token of
//! the same prompts.

use super::{LayerDirection, random_direction};
use crate::InterpError;
use crate::evidence::{Estimate, Neutral};
use crate::log_softmax::LogSoftmax;
use crate::products::norm;
use serde::Serialize;
use tiller_engine::{Controls, Edit, Engine, Harvest, Positions, Site, TapRows};

/// Prompts that are needed: one makes the vector, two report.
pub const FEWEST_DIFFERENCE_PROMPTS: usize = 4;

/// What to compare, and how.
#[derive(Clone, Copy, Debug)]
pub struct DifferencePlan<'a> {
    /// In the tokens that both models share. Those at even places make the vectors; what is reported is of the others.
    pub prompts: &'a [Vec<u32>],
    pub layers: &'a [u32],
    /// In multiples of the difference itself.
    pub strength: f32,
    /// A neutral text, in tokens, whose perplexity in the base model is the cost.
    pub neutral: &'a [u32],
    /// One random direction of equal norm for each, at every layer.
    pub seeds: &'a [u32],
}

/// The difference at one layer, added to the base model after its block at a prompt's last token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DifferenceAtLayer {
    /// The vector, its norm, and the base model's typical norm there.
    #[serde(flatten)]
    pub made: LayerDirection,
    /// `|mean of the differences|^2 / mean of |difference|^2`: 1 where tuning moved every prompt alike, 0 where no two
    /// alike.
    pub shared: f64,
    /// How far the base model's next token is from the tuned one's with the vector: Kullback-Leibler divergence of the
    /// base's distribution from the tuned one's, in nats, over the prompts that report.
    pub divergence: Estimate,
    /// The same with random directions in its place, means.
    pub random: Vec<f64>,
    /// Of the neutral text in the base model with the vector at every token.
    pub perplexity: f64,
}

/// What a comparison comes to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelDifference {
    /// The divergence without any vector.
    pub divergence_plain: Estimate,
    /// By how much less it is at the layer where it is least, on each prompt.
    pub gained: Option<Estimate>,
    pub perplexity_plain: f64,
    /// By layer, ascending.
    pub layers: Vec<DifferenceAtLayer>,
    /// Where the divergence is least.
    pub best: Option<u32>,
}

/// Compares two checkpoints of one architecture and vocabulary: the mean over prompts of tuned less base, read at the last
/// token (REFLEX's difference of models, which that method divides further by whose answers are right), and adds what it
/// finds to the base.
///
/// `progress` is told the layers done and in all. Errors where the models are of different shapes, for fewer than
/// [`FEWEST_DIFFERENCE_PROMPTS`] prompts or no layers, where an output is not finite, and as the engine's harvest.
pub async fn model_difference(
    base: &mut Engine,
    tuned: &mut Engine,
    plan: &DifferencePlan<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<ModelDifference, InterpError> {
    let shape = |engine: &Engine| {
        let config = engine.config();
        (config.architecture.clone(), config.layers, config.width, config.vocab)
    };
    if shape(base) != shape(tuned) {
        let said = |(architecture, layers, width, vocabulary): (String, u32, u32, u32)| {
            format!("{architecture}, {layers} layers of {width} numbers, {vocabulary} tokens")
        };
        return Err(InterpError::UnlikeModels { base: said(shape(base)), tuned: said(shape(tuned)) });
    }
    if plan.prompts.len() < FEWEST_DIFFERENCE_PROMPTS {
        return Err(InterpError::TooFewPrompts { given: plan.prompts.len(), needed: FEWEST_DIFFERENCE_PROMPTS });
    }
    let mut layers = plan.layers.to_vec();
    layers.sort_unstable();
    layers.dedup();
    if layers.is_empty() {
        return Err(InterpError::NoLayers);
    }
    let half = |odd: usize| -> Vec<Vec<u32>> { plan.prompts.iter().skip(odd).step_by(2).cloned().collect() };
    let (making, reporting) = (half(0), half(1));
    let width = base.config().width as usize;
    let before = last_tokens(base, &making, &layers, controls).await?;
    let after = last_tokens(tuned, &making, &layers, controls).await?;

    let target = next_tokens(tuned, &reporting, &[], controls).await?;
    let far = |found: &[LogSoftmax]| -> Vec<f64> {
        found.iter().zip(&target).map(|(found, target)| target.divergence(found)).collect()
    };
    let plain = far(&next_tokens(base, &reporting, &[], controls).await?);
    let neutral = Neutral::read(base, plan.neutral, controls, |_, _| {}).await?;
    let mut found: Vec<(DifferenceAtLayer, Vec<f64>)> = Vec::with_capacity(layers.len());
    for (n, &layer) in layers.iter().enumerate() {
        let (made, shared) = mean_difference(layer, width, &before[n], &after[n]);
        let add = |vector: Vec<f32>| Edit::add(Site::ResidPost(layer), vector, plan.strength);
        let edit = add(made.direction.clone());
        let steered = far(&next_tokens(base, &reporting, &[edit.clone().at(Positions::Last)], controls).await?);
        let perplexity = neutral.cost(base, &[edit], controls, |_, _| {}).await?.perplexity;
        let mut random = Vec::with_capacity(plan.seeds.len());
        for &seed in plan.seeds {
            let direction = random_direction(seed.into(), width).into_iter().map(|x| x * made.norm).collect();
            let edit = add(direction).at(Positions::Last);
            let values = far(&next_tokens(base, &reporting, &[edit], controls).await?);
            random.push(Estimate::of(&values).ok_or(InterpError::Overdriven)?.mean);
        }
        let divergence = Estimate::of(&steered).ok_or(InterpError::Overdriven)?;
        found.push((DifferenceAtLayer { made, shared, divergence, random, perplexity }, steered));
        progress(n as u64 + 1, layers.len() as u64);
    }
    let nearest = found.iter().min_by(|(a, _), (b, _)| a.divergence.mean.total_cmp(&b.divergence.mean));
    let gained = nearest.and_then(|(_, steered)| {
        Estimate::of(&plain.iter().zip(steered).map(|(plain, steered)| plain - steered).collect::<Vec<f64>>())
    });
    Ok(ModelDifference {
        divergence_plain: Estimate::of(&plain).ok_or(InterpError::Overdriven)?,
        gained,
        perplexity_plain: neutral.perplexity,
        best: nearest.map(|(at, _)| at.made.layer),
        layers: found.into_iter().map(|(at, _)| at).collect(),
    })
}

/// By layer `[prompts, width]`: the stream after the block, at each prompt's last token.
async fn last_tokens(
    engine: &mut Engine,
    prompts: &[Vec<u32>],
    layers: &[u32],
    controls: &impl Controls,
) -> Result<Vec<Vec<f32>>, InterpError> {
    let width = engine.config().width as usize;
    let sites: Vec<Site> = layers.iter().map(|&layer| Site::ResidPost(layer)).collect();
    let mut rows = vec![vec![0.0; prompts.len() * width]; layers.len()];
    let mut not_finite = None;
    let what = Harvest { prompts, sites: &sites, rows: TapRows::Picks, edits: &[] };
    let sink = |reading: tiller_engine::Reading<'_>| {
        if !reading.values.iter().all(|value| value.is_finite()) {
            not_finite.get_or_insert(reading.site);
        }
        if let Some(place) = sites.iter().position(|&site| site == reading.site) {
            rows[place][reading.prompt * width..(reading.prompt + 1) * width].copy_from_slice(reading.values);
        }
    };
    engine.harvest(&what, controls, |_, _| {}, sink).await?;
    not_finite.map_or(Ok(rows), |site| Err(InterpError::NotFinite { site }))
}

/// What each prompt is followed by.
async fn next_tokens(
    engine: &mut Engine,
    prompts: &[Vec<u32>],
    edits: &[Edit],
    controls: &impl Controls,
) -> Result<Vec<LogSoftmax>, InterpError> {
    let mut found: Vec<Option<LogSoftmax>> = vec![None; prompts.len()];
    let what = Harvest { prompts, sites: &[Site::Logits], rows: TapRows::Picks, edits };
    engine
        .harvest(&what, controls, |_, _| {}, |reading| found[reading.prompt] = LogSoftmax::of(reading.values))
        .await?;
    found.into_iter().collect::<Option<_>>().ok_or(InterpError::Overdriven)
}

/// The mean of tuned less base, and how much of the differences it is.
fn mean_difference(layer: u32, width: usize, base: &[f32], tuned: &[f32]) -> (LayerDirection, f64) {
    let prompts = (base.len() / width) as f64;
    let mut mean = vec![0.0f64; width];
    let (mut squares, mut lengths) = (0.0, 0.0);
    for (base, tuned) in base.chunks_exact(width).zip(tuned.chunks_exact(width)) {
        for ((sum, &b), &t) in mean.iter_mut().zip(base).zip(tuned) {
            let difference = f64::from(t) - f64::from(b);
            *sum += difference / prompts;
            squares += difference * difference / prompts;
        }
        lengths += norm(base) / prompts;
    }
    let square = mean.iter().map(|x| x * x).sum::<f64>();
    let made = LayerDirection {
        layer,
        direction: mean.iter().map(|&x| x as f32).collect(),
        norm: square.sqrt() as f32,
        typical_norm: lengths as f32,
        explained: None,
        separability: None,
    };
    (made, if squares > 0.0 { square / squares } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_and_what_is_shared_are_as_worked_out_by_hand() {
        // Differences (1, 0) and (1, 2): their mean (1, 1), squares 1 and 5.
        let (made, shared) = mean_difference(3, 2, &[3.0, 4.0, 0.0, 1.0], &[4.0, 4.0, 1.0, 3.0]);
        assert_eq!((made.layer, &made.direction[..], made.typical_norm), (3, &[1.0, 1.0][..], 3.0));
        assert!((shared - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(mean_difference(0, 2, &[1.0, 2.0], &[1.0, 2.0]).1, 0.0);
    }
}
