//! At which layer and how strongly to steer: combinations are tried, all or the most promising ones, and the choice is
//! judged on texts that had no part in it.

use super::{TokenPair, VectorMethod, extract, random_direction};
use crate::InterpError;
use crate::evidence::{Estimate, Neutral, log_odds};
use crate::tally::Tally;
use crate::tune::{Outcome, Tuner};
use serde::Serialize;
use tiller_engine::{Controls, Edit, Engine, Site};

/// Pairs that a grid needs: two to make directions of and choose by, two to report.
pub const GRID_FEWEST_PAIRS: usize = 4;

/// What to try.
#[derive(Clone, Copy, Debug)]
pub struct GridPlan<'a> {
    pub method: VectorMethod,
    /// Those at even places make the directions and choose among the cells; what is reported is measured on the others.
    pub pairs: &'a [TokenPair],
    pub layers: &'a [u32],
    /// In multiples of the residual stream's typical norm at a layer.
    pub strengths: &'a [f32],
    /// A neutral text, in tokens, whose perplexity is the cost.
    pub neutral: &'a [u32],
    /// How much more perplexity a chosen cell may cost: 0.2 is a fifth more than the plain model's.
    pub most_cost: f64,
    /// One random control of equal norm for each, at the chosen cell.
    pub seeds: &'a [u32],
}

/// One layer and strength: the direction of the layer, of that length, added after its block at every token.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GridCell {
    pub layer: u32,
    pub strength: f32,
    /// `None` where the outputs were not finite.
    pub found: Option<GridReading>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GridReading {
    /// By how many nats a pair's positive text became likelier, beside its negative one: mean over the choosing half.
    pub effect: f64,
    /// Of the neutral text.
    pub perplexity: f64,
    /// Kullback-Leibler divergence of the steered from the plain next-token distribution over the neutral text, in nats.
    pub divergence: f64,
}

/// What a grid comes to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GridReport {
    pub perplexity_plain: f64,
    /// Pairs that chose.
    pub choosing: usize,
    /// Cells of the whole grid, tried or not.
    pub possible: usize,
    /// Of a whole grid layer by layer, each by strength, in the order asked for; of a tuned one, in the order tried.
    pub cells: Vec<GridCell>,
    /// `None` where no cell had a positive effect at an acceptable cost.
    pub chosen: Option<GridChoice>,
}

/// The chosen cell on the pairs that did not choose it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GridChoice {
    pub layer: u32,
    pub strength: f32,
    pub effect: Estimate,
    pub perplexity: f64,
    pub divergence: f64,
    /// The same layer and length, one random direction a seed. One that drove the outputs out of numbers is missing.
    pub random: Vec<GridReading>,
}

/// Tries every layer with every strength.
///
/// The effect of a cell is what steering adds to the log odds of a pair's positive text against its negative one, and
/// its cost the perplexity of the neutral text. Of the cells that cost at most `most_cost`, the one with the largest
/// effect is chosen, and measured again on the other half of the pairs, beside random directions of its length: the
/// best of many noisy numbers is not what it will be next time (methods that report their best cell do so by luck).
///
/// `progress` is told the tokens done and in all; `sink` is given each cell as it is done. Errors for fewer than
/// [`GRID_FEWEST_PAIRS`] pairs, no layers or no strengths, as [`extract`], and when the work was cancelled.
pub async fn grid(
    engine: &mut Engine,
    plan: &GridPlan<'_>,
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
    sink: impl FnMut(GridCell),
) -> Result<GridReport, InterpError> {
    search(engine, plan, None, controls, progress, sink).await
}

/// The same with no more than `tries` cells, each chosen after those before it ([`Tuner`]): gain is the effect, cost the
/// perplexity's logarithm. What is chosen and reported is as in the whole grid, but only among the cells that were tried.
pub async fn tuned_grid(
    engine: &mut Engine,
    plan: &GridPlan<'_>,
    tries: usize,
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
    sink: impl FnMut(GridCell),
) -> Result<GridReport, InterpError> {
    search(engine, plan, Some(tries), controls, progress, sink).await
}

/// `tries`: `None` for every cell.
async fn search(
    engine: &mut Engine,
    plan: &GridPlan<'_>,
    tries: Option<usize>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
    mut sink: impl FnMut(GridCell),
) -> Result<GridReport, InterpError> {
    if plan.pairs.len() < GRID_FEWEST_PAIRS {
        return Err(InterpError::TooFewPairs { pairs: plan.pairs.len(), needed: GRID_FEWEST_PAIRS });
    }
    if plan.strengths.is_empty() {
        return Err(InterpError::NoStrengths);
    }
    let half = |odd: usize| -> Vec<TokenPair> { plan.pairs.iter().skip(odd).step_by(2).cloned().collect() };
    let (choosing, reporting) = (half(0), half(1));
    let mut layers = plan.layers.to_vec();
    layers.sort_unstable();
    layers.dedup();
    let possible = layers.len() * plan.strengths.len();
    let tried = tries.map_or(possible, |tries| tries.min(possible));
    let mut tally = Tally::new(total(plan, tried, &choosing, &reporting), &mut progress);

    let made = extract(engine, plan.method, &choosing, &layers, controls, |done, _| tally.within(done)).await?;
    tally.add(tokens(&choosing));
    let neutral = Neutral::read(engine, plan.neutral, controls, |done, _| tally.within(done)).await?;
    tally.add(plan.neutral.len() as u64);
    let plain = mean(&log_odds(engine, &choosing, &[], controls, |done, _| tally.within(done)).await?);
    tally.add(tokens(&choosing));

    let most_perplexity = (1.0 + plan.most_cost) * neutral.perplexity;
    let mut tuner = tries.is_some().then(|| {
        let [layers, strengths] = [
            layers.iter().map(|&layer| f64::from(layer)).collect::<Vec<f64>>(),
            plan.strengths.iter().map(|&strength| f64::from(strength)).collect(),
        ];
        Tuner::new(&layers, &strengths, most_perplexity.ln())
    });
    let mut cells = Vec::with_capacity(tried);
    while cells.len() < tried {
        let next = tuner.as_ref().map_or(Some(cells.len()), Tuner::next);
        let Some(place) = next else { break };
        let (layer, strength) =
            (&made.layers[place / plan.strengths.len()], plan.strengths[place % plan.strengths.len()]);
        let unit = layer.direction.iter().map(|x| x / layer.norm.max(f32::MIN_POSITIVE));
        let edit = steering(layer.layer, unit.collect(), strength * layer.typical_norm);
        let read = reading(engine, &neutral, &choosing, plain, &edit, controls, |done| tally.within(done)).await;
        let cell = GridCell { layer: layer.layer, strength, found: unless_overdriven(read)? };
        tally.add(tokens(&choosing) + plan.neutral.len() as u64);
        if let Some(tuner) = &mut tuner {
            let outcome = |found: GridReading| Outcome { gain: found.effect, cost: found.perplexity.ln() };
            tuner.tell(place, cell.found.map(outcome));
        }
        sink(cell);
        cells.push(cell);
    }

    let affordable = |found: &GridReading| found.perplexity <= most_perplexity;
    let candidates = cells.iter().filter_map(|cell| Some((cell, cell.found.filter(affordable)?)));
    let best =
        candidates.filter(|(_, found)| found.effect > 0.0).max_by(|(_, a), (_, b)| a.effect.total_cmp(&b.effect));
    let mut chosen = None;
    if let Some((&GridCell { layer, strength, .. }, GridReading { perplexity, divergence, .. })) = best {
        let at = made.layers.iter().find(|made| made.layer == layer).expect("cells are of the layers that were made");
        let length = strength * at.typical_norm;
        let plain = log_odds(engine, &reporting, &[], controls, |done, _| tally.within(done)).await?;
        tally.add(tokens(&reporting));
        let unit = at.direction.iter().map(|x| x / at.norm).collect();
        let steered = [steering(layer, unit, length)];
        let steered = log_odds(engine, &reporting, &steered, controls, |done, _| tally.within(done)).await?;
        tally.add(tokens(&reporting));
        let gains: Vec<f64> = steered.iter().zip(&plain).map(|(steered, plain)| steered - plain).collect();
        let effect = Estimate::of(&gains).ok_or(InterpError::Overdriven)?;
        let (plain, mut random) = (mean(&plain), Vec::with_capacity(plan.seeds.len()));
        for &seed in plan.seeds {
            let edit = steering(layer, random_direction(u64::from(seed), at.direction.len()), length);
            let read = reading(engine, &neutral, &reporting, plain, &edit, controls, |done| tally.within(done)).await;
            random.extend(unless_overdriven(read)?);
            tally.add(tokens(&reporting) + plan.neutral.len() as u64);
        }
        chosen = Some(GridChoice { layer, strength, effect, perplexity, divergence, random });
    }
    tally.finish();
    Ok(GridReport { perplexity_plain: neutral.perplexity, choosing: choosing.len(), possible, cells, chosen })
}

fn steering(layer: u32, unit: Vec<f32>, length: f32) -> Edit {
    Edit::add(Site::ResidPost(layer), unit, length)
}

/// What one edit does to `pairs`, whose log odds without it are `plain` on average, and what it costs.
async fn reading(
    engine: &mut Engine,
    neutral: &Neutral<'_>,
    pairs: &[TokenPair],
    plain: f64,
    edit: &Edit,
    controls: &impl Controls,
    mut progress: impl FnMut(u64),
) -> Result<GridReading, InterpError> {
    let edits = std::slice::from_ref(edit);
    let odds = log_odds(engine, pairs, edits, controls, |done, _| progress(done)).await?;
    let cost = neutral.cost(engine, edits, controls, |done, _| progress(tokens(pairs) + done)).await?;
    Ok(GridReading { effect: mean(&odds) - plain, perplexity: cost.perplexity, divergence: cost.divergence })
}

fn unless_overdriven(read: Result<GridReading, InterpError>) -> Result<Option<GridReading>, InterpError> {
    match read {
        Ok(found) if [found.effect, found.perplexity, found.divergence].iter().all(|x| x.is_finite()) => {
            Ok(Some(found))
        }
        Ok(_) | Err(InterpError::Overdriven) => Ok(None),
        Err(error) => Err(error),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn tokens(pairs: &[TokenPair]) -> u64 {
    pairs.iter().map(|pair| (pair.positive.len() + pair.negative.len()) as u64).sum()
}

/// Tokens that a search reads, if it chooses a cell.
fn total(plan: &GridPlan<'_>, cells: usize, choosing: &[TokenPair], reporting: &[TokenPair]) -> u64 {
    let (choosing, reporting, neutral) = (tokens(choosing), tokens(reporting), plan.neutral.len() as u64);
    let before = 2 * choosing + neutral;
    let after = 2 * reporting + plan.seeds.len() as u64 * (reporting + neutral);
    before + cells as u64 * (choosing + neutral) + after
}
