//! Ablation: what an answer, and plain text, lose without a head or an MLP.

use super::Metric;
use crate::InterpError;
use crate::products::norm;
use crate::steer::random_direction;
use serde::Serialize;
use std::sync::Arc;
use tiller_engine::{Controls, Edit, Engine, Harvest, Logits, Operation, Part, Site, TapRows, Variant, Variants};

/// What to take away, and what to look at.
#[derive(Clone, Copy, Debug)]
pub struct Ablation<'a> {
    pub prompt: &'a [u32],
    pub metric: Metric,
    /// Texts in no mood: means are taken over them, and the cost is their perplexity.
    pub neutral: &'a [Vec<u32>],
    pub replacement: Replacement,
    /// One random control of each layer for each.
    pub seeds: &'a [u32],
    /// Whether to measure the perplexity, which takes a run of every neutral text for every ablation.
    pub with_cost: bool,
}

/// What an ablated part gives in place of its own activation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replacement {
    #[default]
    Zero,
    /// Its mean over the tokens of the neutral texts, but for each text's first, where many models rest their attention
    /// and activations are unlike any others.
    Mean,
}

/// The model as it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AblationBaseline {
    pub metric: f64,
    /// Of the neutral texts, over all tokens but their first.
    pub perplexity: Option<f64>,
    pub layers: u32,
    pub heads: u32,
}

/// What an ablation changes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Effect {
    /// The metric with it less the metric without.
    pub metric: f64,
    /// The neutral texts' perplexity with it over that without; `None` where it was not measured.
    pub perplexity: Option<f64>,
}

/// The ablations of one block.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AblationLayer {
    pub layer: u32,
    /// One for each head: its part of `attn.hook_z`.
    pub heads: Vec<Effect>,
    /// As many units of `attn.hook_z` as a head has, drawn from all heads; one for each seed.
    pub head_controls: Vec<Effect>,
    /// All of `hook_mlp_out`.
    pub mlp: Effect,
    /// `hook_mlp_out` moved in a random direction, as far as the ablation moves it on average; one for each seed.
    pub mlp_controls: Vec<Effect>,
}

/// What comes of a sweep, as it comes.
#[derive(Clone, Debug, PartialEq)]
pub enum AblationStep {
    /// First, once.
    Baseline(AblationBaseline),
    Layer(AblationLayer),
}

/// Takes away every head and every MLP, one at a time and at every token, by zero or by its mean (compared by Zhang and
/// Nanda 2023, "Towards Best Practices of Activation Patching"), beside random units of the same layer.
///
/// `sink` is given the baseline, then one block after the other. `progress` is told the runs done and in all. Errors
/// when a text is empty or too long, there is none to take means or perplexities from, a token is not the model's, an
/// output is not finite, or the work was cancelled.
pub async fn ablation_sweep(
    engine: &mut Engine,
    what: &Ablation<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
    mut sink: impl FnMut(AblationStep),
) -> Result<(), InterpError> {
    what.metric.check(engine)?;
    if !what.neutral.iter().any(|text| text.len() > 1) {
        return Err(InterpError::NoNeutralTexts);
    }
    let (layers, heads) = (engine.config().layers, engine.config().heads);
    let plain = measure(engine, what, &[], controls, |_| {}).await?[0];
    sink(AblationStep::Baseline(AblationBaseline { metric: plain.0, perplexity: plain.1, layers, heads }));
    let means = Means::read(engine, what.neutral, controls).await?;

    let ablations = heads as usize + what.seeds.len() + 1 + what.seeds.len();
    let runs_of_one = 1 + if what.with_cost { what.neutral.len() } else { 0 };
    let total = (layers as usize * ablations * runs_of_one) as u64;
    for layer in 0..layers {
        let before = u64::from(layer) * (ablations * runs_of_one) as u64;
        let edits = means.edits(engine, what, layer);
        let measured = measure(engine, what, &edits, controls, |done| progress(before + done, total)).await?;
        let effects: Vec<Effect> = measured
            .iter()
            .map(|&(metric, perplexity)| Effect {
                metric: metric - plain.0,
                perplexity: perplexity.zip(plain.1).map(|(with, without)| with / without),
            })
            .collect();
        let (of_heads, rest) = effects.split_at(heads as usize);
        let (head_controls, rest) = rest.split_at(what.seeds.len());
        sink(AblationStep::Layer(AblationLayer {
            layer,
            heads: of_heads.to_vec(),
            head_controls: head_controls.to_vec(),
            mlp: rest[0],
            mlp_controls: rest[1..].to_vec(),
        }));
    }
    Ok(())
}

/// Metric and perplexity under each edit by itself; of the unedited model, where there is none.
async fn measure(
    engine: &mut Engine,
    what: &Ablation<'_>,
    edits: &[Edit],
    controls: &impl Controls,
    mut progress: impl FnMut(u64),
) -> Result<Vec<(f64, Option<f64>)>, InterpError> {
    let each = edits.len().max(1);
    let runs = |tokens: &[u32]| -> Vec<Variant> {
        let positions = 0..tokens.len() as u32;
        (0..each).map(|n| Variant { edit: (n < edits.len()).then_some(n), positions: positions.clone() }).collect()
    };
    let mut metrics = vec![None; each];
    let (of_prompt, tokens) = (runs(what.prompt), what.metric.tokens());
    let logits = Logits::Of(&tokens);
    let variants = Variants { tokens: what.prompt, edits, runs: &of_prompt, rows: TapRows::Picks, logits };
    let keep = |run: usize, _, read: &[f32]| metrics[run] = what.metric.of(read);
    engine.run_variants(&variants, controls, |done, _| progress(done), keep).await?;

    let mut log_probs = vec![Some(0.0); each];
    let mut counted = 0;
    if what.with_cost {
        for (n, text) in what.neutral.iter().enumerate() {
            let of_text = runs(text);
            let mut tokens = text.clone();
            tokens.sort_unstable();
            tokens.dedup();
            let logits = Logits::Of(&tokens);
            let variants = Variants { tokens: text, edits, runs: &of_text, rows: TapRows::All, logits };
            let add = |run: usize, position: u32, read: &[f32]| {
                let Some(next) = text.get(position as usize + 1) else { return };
                let at = tokens.binary_search(next).expect("the text's tokens are read");
                let log_prob = f64::from(read[at]) - f64::from(read[tokens.len()]);
                let found = log_prob.is_finite().then_some(log_prob);
                log_probs[run] = log_probs[run].zip(found).map(|(sum, log_prob): (f64, f64)| sum + log_prob);
            };
            let before = ((n + 1) * each) as u64;
            engine.run_variants(&variants, controls, |done, _| progress(before + done), add).await?;
            counted += text.len() - 1;
        }
    }
    let measured = metrics.into_iter().zip(log_probs).map(|(metric, log_prob)| {
        let perplexity = log_prob.map(|sum| (counted > 0).then(|| (-sum / counted as f64).exp()));
        metric.zip(perplexity)
    });
    measured.collect::<Option<Vec<_>>>().ok_or(InterpError::Overdriven)
}

/// Means of each layer's activations over the neutral texts.
struct Means {
    /// `attn.hook_z`, `[layers][heads * head_dim]`.
    z: Vec<Vec<f32>>,
    /// `hook_mlp_out`, `[layers][d_model]`.
    mlp: Vec<Vec<f32>>,
    /// Root of the mean square of `hook_mlp_out`'s length, and of its distance from its mean.
    mlp_length: Vec<f64>,
    mlp_spread: Vec<f64>,
}

impl Means {
    async fn read(engine: &mut Engine, neutral: &[Vec<u32>], controls: &impl Controls) -> Result<Means, InterpError> {
        let layers = engine.config().layers;
        let sites: Vec<Site> = (0..layers).flat_map(|n| [Site::Z(n), Site::MlpOut(n)]).collect();
        let harvest = Harvest { prompts: neutral, sites: &sites, rows: TapRows::All, edits: &[] };
        let cache = engine.capture(&harvest, controls, |_, _| {}).await?;
        // Every token but the first of each text.
        let counted: Vec<bool> = neutral.iter().flat_map(|text| (0..text.len()).map(|position| position > 0)).collect();
        let tokens = counted.iter().filter(|counts| **counts).count() as f64;
        let weights: Vec<f32> =
            counted.iter().map(|&counts| if counts { (1.0 / tokens) as f32 } else { 0.0 }).collect();
        let mut means = cache.weighted_sums(&sites, &weights).await?;
        if let Some(at) = means.iter().position(|mean| !mean.iter().all(|value| value.is_finite())) {
            return Err(InterpError::NotFinite { site: sites[at] });
        }
        let mlp: Vec<Vec<f32>> = means.iter_mut().skip(1).step_by(2).map(std::mem::take).collect();
        let of_mlp: Vec<(Site, &[f32])> =
            sites.iter().copied().skip(1).step_by(2).zip(mlp.iter().map(Vec::as_slice)).collect();
        // The mean squares of each row's length, and of its distance from the mean.
        let mut squares = Vec::with_capacity(mlp.len());
        for (products, mean) in cache.row_products(&of_mlp).await?.iter().zip(&mlp) {
            let of_mean = norm(mean).powi(2);
            let rows = || products.iter().zip(&counted).filter(|(_, counts)| **counts).map(|(row, _)| row);
            let length = rows().map(|row| row.square).sum::<f64>() / tokens;
            let spread = rows().map(|row| row.square - 2.0 * row.along + of_mean).sum::<f64>() / tokens;
            squares.push((length, spread.max(0.0)));
        }
        Ok(Means {
            z: means.into_iter().step_by(2).collect(),
            mlp_length: squares.iter().map(|(length, _)| length.sqrt()).collect(),
            mlp_spread: squares.iter().map(|(_, spread)| spread.sqrt()).collect(),
            mlp,
        })
    }

    /// The ablations of a layer, in the order of [`AblationLayer`]'s fields.
    fn edits(&self, engine: &Engine, what: &Ablation<'_>, layer: u32) -> Vec<Edit> {
        let (n, heads) = (layer as usize, engine.config().heads);
        let width = self.z[n].len() / heads as usize;
        let replace = |means: &[f32]| match what.replacement {
            Replacement::Zero => Operation::Zero { coefficient: 1.0 },
            Replacement::Mean => Operation::Set { values: means.into(), coefficient: 1.0 },
        };
        let head = |head: u32| {
            let columns = head as usize * width..(head as usize + 1) * width;
            Edit::new(Site::Z(layer), replace(&self.z[n][columns])).on(Part::Head(head))
        };
        let units = |seed: &u32| {
            let units = random_units(place(*seed, layer), self.z[n].len(), width);
            let means: Vec<f32> = units.iter().map(|&unit| self.z[n][unit as usize]).collect();
            Edit::new(Site::Z(layer), replace(&means)).on(Part::Units(units.into()))
        };
        let far = match what.replacement {
            Replacement::Zero => self.mlp_length[n],
            Replacement::Mean => self.mlp_spread[n],
        };
        let moved = |seed: &u32| {
            let direction = random_direction(place(*seed, layer), self.mlp[n].len());
            let vector: Arc<[f32]> = direction.iter().map(|&d| (f64::from(d) * far) as f32).collect();
            Edit::add(Site::MlpOut(layer), vector, 1.0)
        };
        let all_heads = (0..heads).map(head).chain(what.seeds.iter().map(units));
        let mlp = [Edit::new(Site::MlpOut(layer), replace(&self.mlp[n]))];
        all_heads.chain(mlp).chain(what.seeds.iter().map(moved)).collect()
    }
}

/// The seed of a layer's controls.
fn place(seed: u32, layer: u32) -> u64 {
    u64::from(seed) | u64::from(layer) << 32
}

/// `count` of `all` units, ascending: those at which a random direction is largest, which is a draw in which every unit
/// is as likely as another.
fn random_units(seed: u64, all: usize, count: usize) -> Vec<u32> {
    let direction = random_direction(seed, all);
    let mut units: Vec<u32> = (0..all as u32).collect();
    units.sort_by(|&a, &b| direction[b as usize].total_cmp(&direction[a as usize]));
    units.truncate(count);
    units.sort_unstable();
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_units_are_as_many_as_asked_for_all_different_and_their_seeds_own() {
        let units = random_units(3, 576, 64);
        assert_eq!(units.len(), 64);
        assert!(units.is_sorted_by(|a, b| a < b) && units[63] < 576);
        assert_ne!(units, random_units(4, 576, 64));
        // Every unit comes up about as often: 64 of 576 in 900 draws is 100 times, with a deviation of 9.4.
        let mut times = [0u32; 576];
        (0..900).flat_map(|seed| random_units(seed, 576, 64)).for_each(|unit| times[unit as usize] += 1);
        assert!(times.iter().all(|time| (50..150).contains(time)), "{times:?}");
    }
}
