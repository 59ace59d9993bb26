//! Steering at every layer, and what the layers are worth that were picked without trying them.

use super::layer_choice::{LayerDivergence, layer_divergences};
use super::{GRID_FEWEST_PAIRS, Separability, TokenPair, VectorMethod, extract, random_direction};
use crate::InterpError;
use crate::evidence::{Estimate, Neutral, log_odds};
use crate::tally::Tally;
use serde::Serialize;
use tiller_engine::{Controls, Edit, Engine, Site};

/// What to try.
#[derive(Clone, Copy, Debug)]
pub struct LayerSweepPlan<'a> {
    pub method: VectorMethod,
    /// Those at even places make the directions and choose among the layers; what is reported is measured on the others.
    pub pairs: &'a [TokenPair],
    pub layers: &'a [u32],
    /// In multiples of the residual stream's typical norm at a layer; the same at all.
    pub strength: f32,
    /// A neutral text, in tokens, whose perplexity is the cost.
    pub neutral: &'a [u32],
    /// How much more perplexity a layer that the sweep chooses may cost: 0.2 is a fifth more than the plain model's.
    pub most_cost: f64,
    /// One random direction for each, at the layer that the sweep chooses.
    pub seeds: &'a [u32],
}

/// One layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SweptLayer {
    #[serde(flatten)]
    pub divergence: LayerDivergence,
    pub separability: Option<Separability>,
    /// What steering there adds to the log odds of the pairs that choose, in nats.
    pub chosen_by: f64,
    /// And to those of the pairs that report.
    pub reported: Estimate,
    /// Of the neutral text.
    pub perplexity: f64,
}

/// By what a layer was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PickedBy {
    /// The largest divergence of the stream's own numbers.
    Hidden,
    /// The largest divergence of the logit lens.
    Lens,
    /// What extraction suggests: held-out pairs told apart, in the middle half.
    Separability,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pick {
    pub by: PickedBy,
    pub layer: u32,
    /// The effect there on the pairs that report, as a share of that at the layer that the sweep chose.
    pub share: f64,
}

/// What a sweep comes to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerSweep {
    /// By layer, ascending.
    pub layers: Vec<SweptLayer>,
    pub perplexity_plain: f64,
    /// The layer of the largest effect on the pairs that choose, at an acceptable cost; `None` where none has any.
    pub best: Option<u32>,
    /// Beside the best layer; none where there is no best.
    pub picks: Vec<Pick>,
    /// What random directions of the same length add at the best layer, on the pairs that report.
    pub random: Vec<f64>,
}

/// Steers at every layer with its own direction, all equally strongly, and holds the layers that cheap scores pick (on the
/// pairs that choose, and without steering) against the one that the sweep picks.
///
/// `progress` is told the tokens done and in all. Errors for fewer than [`GRID_FEWEST_PAIRS`] pairs or no layers, where
/// the outputs are not finite, as [`extract`], and when the work was cancelled.
pub async fn layer_sweep(
    engine: &mut Engine,
    plan: &LayerSweepPlan<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<LayerSweep, InterpError> {
    if plan.pairs.len() < GRID_FEWEST_PAIRS {
        return Err(InterpError::TooFewPairs { pairs: plan.pairs.len(), needed: GRID_FEWEST_PAIRS });
    }
    let half = |odd: usize| -> Vec<TokenPair> { plan.pairs.iter().skip(odd).step_by(2).cloned().collect() };
    let (choosing, reporting) = (half(0), half(1));
    let tokens = |pairs: &[TokenPair]| -> u64 {
        pairs.iter().map(|pair| (pair.positive.len() + pair.negative.len()) as u64).sum()
    };
    let of_all = tokens(plan.pairs);
    let layer_tokens = of_all + plan.neutral.len() as u64;
    let total = 2 * tokens(&choosing) + layer_tokens * (1 + plan.layers.len() as u64);
    let mut tally = Tally::new(total + plan.seeds.len() as u64 * tokens(&reporting), &mut progress);

    let made = extract(engine, plan.method, &choosing, plan.layers, controls, |done, _| tally.within(done)).await?;
    tally.add(tokens(&choosing));
    let within = |done, _| tally.within(done);
    let divergences = layer_divergences(engine, &choosing, plan.layers, controls, within).await?;
    tally.add(tokens(&choosing));
    let neutral = Neutral::read(engine, plan.neutral, controls, |_, _| {}).await?;
    let plain = [
        log_odds(engine, &choosing, &[], controls, |_, _| {}).await?,
        log_odds(engine, &reporting, &[], controls, |_, _| {}).await?,
    ];
    tally.add(layer_tokens);

    let gains = |steered: &[f64], plain: &[f64]| steered.iter().zip(plain).map(|(a, b)| a - b).collect::<Vec<f64>>();
    let mut layers = Vec::with_capacity(made.layers.len());
    for (at, divergence) in made.layers.iter().zip(divergences) {
        let unit: Vec<f32> = at.direction.iter().map(|x| x / at.norm.max(f32::MIN_POSITIVE)).collect();
        let edits = [Edit::add(Site::ResidPost(at.layer), unit, plan.strength * at.typical_norm)];
        let on =
            |steered: Vec<f64>, plain: &[f64]| Estimate::of(&gains(&steered, plain)).ok_or(InterpError::Overdriven);
        let chosen_by = on(log_odds(engine, &choosing, &edits, controls, |_, _| {}).await?, &plain[0])?.mean;
        let reported = on(log_odds(engine, &reporting, &edits, controls, |_, _| {}).await?, &plain[1])?;
        let perplexity = neutral.cost(engine, &edits, controls, |_, _| {}).await?.perplexity;
        layers.push(SweptLayer { divergence, separability: at.separability, chosen_by, reported, perplexity });
        tally.add(layer_tokens);
        tally.within(0);
    }

    let affordable = |layer: &&SweptLayer| layer.perplexity <= (1.0 + plan.most_cost) * neutral.perplexity;
    let effective = layers.iter().filter(affordable).filter(|layer| layer.chosen_by > 0.0);
    let best = effective.max_by(|a, b| a.chosen_by.total_cmp(&b.chosen_by)).copied();
    let (mut picks, mut random) = (Vec::new(), Vec::new());
    if let Some(best) = best {
        let largest = |score: fn(&LayerDivergence) -> f64| {
            let by_score = |a: &&SweptLayer, b: &&SweptLayer| score(&a.divergence).total_cmp(&score(&b.divergence));
            layers.iter().max_by(by_score).map(|found| found.divergence.layer)
        };
        let picked = [
            (PickedBy::Hidden, largest(|divergence| divergence.hidden)),
            (PickedBy::Lens, largest(|divergence| divergence.lens)),
            (PickedBy::Separability, made.suggested),
        ];
        for (by, layer) in picked {
            let at = layers.iter().find(|at| Some(at.divergence.layer) == layer);
            picks.extend(at.map(|at| Pick {
                by,
                layer: at.divergence.layer,
                share: at.reported.mean / best.reported.mean,
            }));
        }
        let at = made.layers.iter().find(|at| at.layer == best.divergence.layer).expect("it was swept");
        for &seed in plan.seeds {
            let direction = random_direction(seed.into(), at.direction.len());
            let edits = [Edit::add(Site::ResidPost(at.layer), direction, plan.strength * at.typical_norm)];
            let steered = log_odds(engine, &reporting, &edits, controls, |_, _| {}).await?;
            random.extend(Estimate::of(&gains(&steered, &plain[1])).map(|estimate| estimate.mean));
            tally.add(tokens(&reporting));
        }
    }
    tally.finish();
    let best = best.map(|best| best.divergence.layer);
    Ok(LayerSweep { layers, perplexity_plain: neutral.perplexity, best, picks, random })
}
