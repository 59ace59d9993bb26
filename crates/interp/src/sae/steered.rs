//! What holding a feature does to the words that it speaks for: a strength is chosen on one half of the prompts, and
//! judged on the other beside as long steps along other features and random directions.

use super::{FeatureSteering, Gating, PlacedDictionary};
use crate::InterpError;
use crate::evidence::next_words::tokens;
use crate::evidence::{Neutral, NextWords, WordEffect, WordSeeds, halves};
use crate::tally::Tally;
use serde::Serialize;
use tiller_engine::{Controls, Edit, Engine, FeatureChange};

/// A feature, and the words on which its effect is judged. They are named before anything is steered: those of its label,
/// say, never those that it turned out to raise.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureTokens {
    pub feature: u32,
    /// The largest value that is known of it.
    pub largest: f32,
    /// Token ids, ascending.
    pub words: Vec<u32>,
}

/// What to try.
#[derive(Clone, Copy, Debug)]
pub struct SteeredPlan<'a> {
    /// Those at even places choose a strength, those at odd ones report.
    pub prompts: &'a [Vec<u32>],
    /// In shares of a feature's largest value: what it is held at, at every token.
    pub strengths: &'a [f32],
    /// A neutral text, in tokens, whose perplexity is the cost.
    pub neutral: &'a [u32],
    /// How much more perplexity a chosen strength may cost: 0.2 is a fifth more than the plain model's.
    pub most_cost: f64,
    /// Of the controls at the chosen strength.
    pub seeds: WordSeeds<'a>,
}

/// One feature.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SteeredFeature {
    pub feature: u32,
    /// In the order asked for.
    pub tried: Vec<SteeredStrength>,
    /// `None` where every strength costs too much, or drives the outputs out of numbers.
    pub chosen: Option<SteeredChoice>,
}

/// One strength, on the prompts that choose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SteeredStrength {
    /// In shares of the feature's largest value.
    pub strength: f32,
    /// What the feature is held at.
    pub value: f32,
    /// `None` where the outputs were not finite.
    pub found: Option<SteeredReading>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SteeredReading {
    /// By how many nats the log odds of the feature's words rise, mean over the choosing prompts.
    pub effect: f64,
    /// Of the neutral text.
    pub perplexity: f64,
    /// Kullback-Leibler divergence of the steered from the plain next-token distribution over the neutral text, in nats.
    pub divergence: f64,
}

/// The chosen strength, on the prompts that did not choose it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SteeredChoice {
    pub strength: f32,
    pub value: f32,
    /// By how many nats the log odds of the words rose on the prompts that chose.
    pub choosing: f64,
    /// On the others, beside its controls.
    pub words: WordEffect,
    pub perplexity_plain: f64,
    pub perplexity: f64,
    pub divergence: f64,
}

/// Prompts that are needed: two to choose by, two to report.
const FEWEST_PROMPTS: usize = 4;

/// Holds each feature at each strength, at every token. Of the strengths that cost at most `most_cost`, the one with the
/// largest effect on the feature's words is chosen, up or down, and measured again on the other half of the prompts: the
/// best of many noisy numbers is not what it will be next time.
///
/// `progress` is told the tokens done and in all; `sink` is given each feature as it is done. Errors for no strengths,
/// fewer than four prompts, no words, no such feature, a neutral text that is too short, and when the work was cancelled.
pub async fn steered_features(
    engine: &mut Engine,
    at: &PlacedDictionary,
    features: &[FeatureTokens],
    plan: &SteeredPlan<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
    mut sink: impl FnMut(SteeredFeature),
) -> Result<(), InterpError> {
    if plan.prompts.len() < FEWEST_PROMPTS {
        return Err(InterpError::TooFewPrompts { given: plan.prompts.len(), needed: FEWEST_PROMPTS });
    }
    if plan.strengths.is_empty() {
        return Err(InterpError::NoStrengths);
    }
    at.on_host().check(engine)?;
    let last = at.dictionary.sae.d_sae - 1;
    if let Some(missing) = features.iter().map(|of| of.feature as usize).find(|&feature| feature > last) {
        return Err(InterpError::NoFeature { feature: missing, last });
    }
    let halves = halves(plan.prompts);
    let neutral_tokens = plan.neutral.len() as u64;
    let [choosing, reporting] = halves.each_ref().map(|half| tokens(half));
    let each = plan.strengths.len() as u64 * (choosing + neutral_tokens) + reporting * (1 + plan.seeds.len());
    let total = neutral_tokens + choosing + reporting + features.len() as u64 * each;
    let mut tally = Tally::new(total, &mut progress);

    let neutral = Neutral::read(engine, plan.neutral, controls, |done, _| tally.within(done)).await?;
    tally.add(neutral_tokens);
    let choose_by = NextWords::read(engine, &halves[0], controls, |done, _| tally.within(done)).await?;
    tally.add(choosing);
    let report_on = NextWords::read(engine, &halves[1], controls, |done, _| tally.within(done)).await?;
    tally.add(reporting);

    for of in features {
        let mut tried = Vec::with_capacity(plan.strengths.len());
        for &strength in plan.strengths {
            let value = strength * of.largest;
            let edits = [held(at, of.feature, value)];
            let mut found = None;
            let report = |done, _| tally.within(done);
            match choose_by.rises(engine, &edits, &of.words, controls, report).await {
                Ok(rises) => {
                    let effect = rises.iter().sum::<f64>() / rises.len() as f64;
                    let cost = neutral.cost(engine, &edits, controls, |done, _| tally.within(choosing + done)).await;
                    match cost {
                        Ok(cost) if cost.perplexity.is_finite() && cost.divergence.is_finite() => {
                            let (perplexity, divergence) = (cost.perplexity, cost.divergence);
                            found = Some(SteeredReading { effect, perplexity, divergence });
                        }
                        Ok(_) | Err(InterpError::Overdriven) => {}
                        Err(error) => return Err(error),
                    }
                }
                Err(InterpError::Overdriven) => {}
                Err(error) => return Err(error),
            }
            tally.add(choosing + neutral_tokens);
            tried.push(SteeredStrength { strength, value, found });
        }
        let affordable = |found: &SteeredReading| found.perplexity <= (1.0 + plan.most_cost) * neutral.perplexity;
        let candidates = tried.iter().filter_map(|tried| Some((tried, tried.found.filter(affordable)?)));
        let best = candidates.max_by(|(_, a), (_, b)| a.effect.abs().total_cmp(&b.effect.abs()));
        let mut chosen = None;
        if let Some((&SteeredStrength { strength, value, .. }, found)) = best {
            let edits = [held(at, of.feature, value)];
            let report = |done| tally.within(done);
            let SteeredReading { effect: choosing, perplexity, divergence } = found;
            let perplexity_plain = neutral.perplexity;
            let choice =
                |words| SteeredChoice { strength, value, choosing, words, perplexity_plain, perplexity, divergence };
            chosen = match report_on.effect(engine, &edits, &of.words, plan.seeds, controls, report).await {
                Ok(words) => Some(choice(words)),
                Err(InterpError::Overdriven) => None,
                Err(error) => return Err(error),
            };
        }
        tally.add(reporting * (1 + plan.seeds.len()));
        sink(SteeredFeature { feature: of.feature, tried, chosen });
    }
    tally.finish();
    Ok(())
}

/// A feature held at a value, at every token.
fn held(at: &PlacedDictionary, feature: u32, value: f32) -> Edit {
    at.edit(&FeatureSteering { feature, change: FeatureChange::Set(value), strength: 1.0 }, Gating::Constant)
}
