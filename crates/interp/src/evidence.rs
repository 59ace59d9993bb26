//! What edits do to the next token, and what they cost, each beside random directions of equal norm.
//!
//! A vector that shifts the next token no more than a random one of its length has not been shown to hold anything; one
//! that shifts it by making the model stammer shows in the perplexity.

mod estimate;
pub(crate) mod likelihood;
pub(crate) mod next_words;
mod openings;

pub use estimate::Estimate;
pub(crate) use likelihood::{Neutral, ending_log_probs, log_odds};
pub(crate) use next_words::NextWords;
pub use next_words::{WordEffect, WordSeeds, halves, word_effect};
pub use openings::OPENINGS;

use crate::InterpError;
use crate::log_softmax::LogSoftmax;
use crate::shuffled;
use crate::steer::random_direction;
use serde::Serialize;
use std::sync::Arc;
use tiller_engine::{Condition, Controls, Edit, Engine, FeatureChange, Harvest, Operation, Positions, Site, TapRows};
use tiller_sae::Sae;

/// The text whose perplexity says what edits cost: plain facts, in no mood.
pub const NEUTRAL_TEXT: &str = "\
    Granite is a coarse-grained rock that forms when magma cools slowly below the surface of the earth. It consists \
    mainly of quartz, feldspar and mica, and its colour ranges from white to pink and grey. Because it is hard and \
    resists weather, builders have used it for bridges, paving stones and the walls of large buildings. The stone is \
    cut from quarries in blocks, sawn into slabs and polished with fine grit.";

/// The seeds of the random directions, where nothing else is asked for.
pub const CONTROL_SEEDS: [u32; 4] = [1, 2, 3, 4];

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct Measurement<'a> {
    pub edits: &'a [Edit],
    /// The text after which the next token is looked at.
    pub prompt: &'a [u32],
    /// [`NEUTRAL_TEXT`] in the model's tokens.
    pub neutral: &'a [u32],
    /// One random control for each.
    pub seeds: &'a [u32],
}

/// What edits do and what they cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// Kullback-Leibler divergence of the edited next-token distribution from the plain one after the prompt, in nats.
    pub shift: Controlled,
    /// Perplexity of the neutral text without edits.
    pub perplexity_plain: f64,
    /// The same with them.
    pub perplexity: Controlled,
    /// Tokens over which the perplexity was taken.
    pub neutral_tokens: usize,
}

/// A number beside the same number for random directions of equal norm.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Controlled {
    pub value: f64,
    /// One for each seed.
    pub random: Vec<f64>,
}

/// Measures `what.edits`.
///
/// For a control, each edit's vector gives way to a random one of its norm, at the same site and positions and with the
/// same coefficient; the first edit's is [`random_direction`] of the seed itself.
///
/// The neutral text is read as in use: its first quarter counts as the prompt, the rest as written by the model, so
/// that every kind of [`Positions`] acts on it as it would on a run. The perplexity is over the rest. The next token
/// after the prompt is drawn before any written token has been read, so edits of written tokens alone could not shift
/// it; they act on the prompt's last token instead, which stands for the first one written.
///
/// `progress` is told the tokens done and in all. Errors when a text is empty or too long, the neutral one is too
/// short, an edit does not fit the model, an output is not finite, or the work was cancelled.
pub async fn measure(
    engine: &mut Engine,
    what: &Measurement<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<Evidence, InterpError> {
    let opening = likelihood::opening(what.neutral)?;
    let conditions = 2 + what.seeds.len();
    let tokens_each = (what.prompt.len() + what.neutral.len()) as u64;
    let mut run =
        Run { engine, what, controls, done: 0, report: |done| progress(done, tokens_each * conditions as u64) };

    let plain = run.next_token(&[]).await?;
    let perplexity_plain = run.perplexity(&[]).await?;
    let shift = run.next_token(what.edits).await?.divergence(&plain);
    let perplexity = run.perplexity(what.edits).await?;
    let mut evidence = Evidence {
        shift: Controlled { value: shift, random: Vec::with_capacity(what.seeds.len()) },
        perplexity_plain,
        perplexity: Controlled { value: perplexity, random: Vec::with_capacity(what.seeds.len()) },
        neutral_tokens: what.neutral.len() - opening,
    };
    for &seed in what.seeds {
        let random = randomised(what.edits, seed);
        evidence.shift.random.push(run.next_token(&random).await?.divergence(&plain));
        evidence.perplexity.random.push(run.perplexity(&random).await?);
    }
    Ok(evidence)
}

/// Perplexity of `neutral` under `edits`, as [`measure`] has it. Errors as there. `progress` is told the tokens done and
/// in all.
pub(crate) async fn perplexity(
    engine: &mut Engine,
    neutral: &[u32],
    edits: &[Edit],
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<f64, InterpError> {
    likelihood::perplexity(engine, neutral, edits, controls, progress, |_, _| {}).await
}

/// What edits cost a neutral text, without controls.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NeutralCost {
    pub perplexity_plain: f64,
    pub perplexity: f64,
    /// Kullback-Leibler divergence of the edited from the plain next-token distribution, mean over places of the text,
    /// nats.
    pub divergence: f64,
}

/// What `edits` cost `neutral`, read as [`measure`] reads it. Errors as there.
pub async fn neutral_cost(
    engine: &mut Engine,
    neutral: &[u32],
    edits: &[Edit],
    controls: &impl Controls,
) -> Result<NeutralCost, InterpError> {
    let plain = Neutral::read(engine, neutral, controls, |_, _| {}).await?;
    let likelihood::Cost { perplexity, divergence } = plain.cost(engine, edits, controls, |_, _| {}).await?;
    Ok(NeutralCost { perplexity_plain: plain.perplexity, perplexity, divergence })
}

/// The passes of a measurement.
struct Run<'a, C, P> {
    engine: &'a mut Engine,
    what: &'a Measurement<'a>,
    controls: &'a C,
    /// Tokens of the conditions that are done with.
    done: u64,
    report: P,
}

impl<C: Controls, P: FnMut(u64)> Run<'_, C, P> {
    /// Log probabilities of the next token after the prompt.
    async fn next_token(&mut self, edits: &[Edit]) -> Result<LogSoftmax, InterpError> {
        let edits: Vec<Edit> = edits.iter().map(at_the_prompts_end).collect();
        let prompts = [self.what.prompt.to_vec()];
        let what = Harvest { prompts: &prompts, sites: &[Site::Logits], rows: TapRows::Picks, edits: &edits };
        let mut next = None;
        let (before, report) = (self.done, &mut self.report);
        let progress = |done, _| report(before + done);
        self.engine.harvest(&what, self.controls, progress, |reading| next = LogSoftmax::of(reading.values)).await?;
        self.done += self.what.prompt.len() as u64;
        next.ok_or(InterpError::Overdriven)
    }

    async fn perplexity(&mut self, edits: &[Edit]) -> Result<f64, InterpError> {
        let (before, report) = (self.done, &mut self.report);
        let progress = |done, _| report(before + done);
        let neutral = self.what.neutral;
        let found = likelihood::perplexity(self.engine, neutral, edits, self.controls, progress, |_, _| {}).await?;
        self.done += neutral.len() as u64;
        Ok(found)
    }
}

/// The edit as it acts on a text whose only use is what comes next.
fn at_the_prompts_end(edit: &Edit) -> Edit {
    match edit.positions {
        Positions::Generated => Edit { positions: Positions::Last, ..edit.clone() },
        _ => edit.clone(),
    }
}

/// The edit as it acts on a text of `len` tokens whose first `prompt_len` are the prompt.
fn at_listed(edit: &Edit, prompt_len: usize, len: usize) -> Edit {
    let listed = |positions: &Positions| {
        let included = (0..len as u32).filter(|&position| positions.include(position, prompt_len as u32));
        Positions::Listed(included.collect())
    };
    let mut condition = edit.condition.clone();
    if let Some(Condition::Activation { positions, .. }) = &mut condition {
        *positions = listed(positions);
    }
    Edit { positions: listed(&edit.positions), condition, ..edit.clone() }
}

/// The edits with random vectors of the same norms; those of features write, as far and at the same tokens, along the
/// directions of other features of the SAE. What has no vector (a scale, a patch) stays as it is.
fn randomised(edits: &[Edit], seed: u32) -> Vec<Edit> {
    let randomised = |(n, edit): (usize, &Edit)| {
        // Each edit's direction is its own; the first one's is what the seed alone gives.
        let random = |like: &Arc<[f32]>, k: usize| -> Arc<[f32]> {
            let norm = length(like);
            let direction = random_direction(u64::from(seed) | ((n + k * edits.len()) as u64) << 32, like.len());
            direction.iter().map(|&x| (f64::from(x) * norm) as f32).collect()
        };
        let mut operation = edit.operation.clone();
        match &mut operation {
            Operation::Add { vector: v, .. }
            | Operation::Set { values: v, .. }
            | Operation::Rescale { direction: v, .. }
            | Operation::Cap { direction: v, .. }
            | Operation::Suppress { direction: v, .. } => *v = random(v, 0),
            Operation::Map { read, write, .. } => (*read, *write) = (random(read, 0), random(write, 1)),
            Operation::Features { sae, changes, directions, .. } => {
                let of = u64::from(seed) | (n as u64) << 32;
                *directions = Some(other_directions(&sae.sae, changes.iter().map(|(feature, _)| *feature), of));
            }
            Operation::Zero { .. }
            | Operation::Scale { .. }
            | Operation::Patch { .. }
            | Operation::PatchFrom { .. }
            | Operation::Displace { .. } => {}
        }
        Edit { operation, ..edit.clone() }
    };
    edits.iter().enumerate().map(randomised).collect()
}

/// The edits of features with as long steps at the same tokens along random directions; what else there is as in
/// [`randomised`].
fn along_random(edits: &[Edit], seed: u32) -> Vec<Edit> {
    let mut drawn = randomised(edits, seed);
    for (n, edit) in drawn.iter_mut().enumerate() {
        let Operation::Features { sae, changes, directions, .. } = &mut edit.operation else { continue };
        let direction = |(k, &(feature, _)): (usize, &(u32, FeatureChange))| {
            let of = u64::from(seed) | ((n + k * edits.len()) as u64) << 32;
            let length = length(sae.sae.direction(feature as usize));
            random_direction(of, sae.sae.d_out()).into_iter().map(move |d| (f64::from(d) * length) as f32)
        };
        *directions = Some(changes.iter().enumerate().flat_map(direction).collect());
    }
    drawn
}

fn length(direction: &[f32]) -> f64 {
    direction.iter().map(|&d| f64::from(d).powi(2)).sum::<f64>().sqrt()
}

/// For each feature the direction of another, none of them listed, at the length of its own: `[features, d_in]`.
fn other_directions(sae: &Sae, listed: impl Iterator<Item = u32>, seed: u64) -> Arc<[f32]> {
    let listed: Vec<u32> = listed.collect();
    let is_free = |other: &usize| !listed.contains(&(*other as u32)) && length(sae.direction(*other)) > 0.0;
    let others = shuffled(seed, sae.d_sae).into_iter().filter(is_free);
    // A dictionary that has no others has its own for controls.
    let own = listed.iter().map(|&feature| feature as usize);
    let drawn = others.chain(own.clone());
    own.zip(drawn)
        .flat_map(|(own, other)| {
            let (own, other) = (sae.direction(own), sae.direction(other));
            let factor = length(own) / length(other).max(f64::MIN_POSITIVE);
            other.iter().map(move |&d| (f64::from(d) * factor) as f32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(vector: &[f32], positions: Positions) -> Edit {
        Edit::add(Site::ResidPost(3), vector, 2.5).at(positions)
    }

    #[test]
    fn controls_keep_everything_but_the_direction() {
        let edits = [add(&[3.0, 0.0, 4.0, 0.0], Positions::Prompt), add(&[0.5; 4], Positions::All)];
        let random = randomised(&edits, 9);
        for (random, edit) in random.iter().zip(&edits) {
            assert_eq!((random.site, &random.positions), (edit.site, &edit.positions));
            let (Operation::Add { vector, coefficient }, Operation::Add { vector: own, .. }) =
                (&random.operation, &edit.operation)
            else {
                panic!("{random:?}");
            };
            let norm = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>().sqrt();
            assert_eq!(*coefficient, 2.5);
            assert!((norm(vector) - norm(own)).abs() < 1e-5);
            assert_ne!(vector, own);
        }
        let of_the_seed: Vec<f32> = random_direction(9, 4).iter().map(|x| x * 5.0).collect();
        let Operation::Add { vector, .. } = &random[0].operation else { panic!("{random:?}") };
        assert!(vector.iter().zip(&of_the_seed).all(|(a, b)| (a - b).abs() < 1e-6));
        assert_ne!(random[0].operation, random[1].operation);
    }

    #[test]
    fn controls_of_features_step_as_far_along_other_features() {
        let directions: Vec<f32> =
            (0..6).flat_map(|n| random_direction(n, 8).into_iter().map(move |d| (n + 1) as f32 * d)).collect();
        let sae = Sae {
            d_in: 8,
            d_sae: 6,
            w_enc: directions.clone(),
            b_enc: vec![0.0; 6],
            w_dec: directions,
            b_dec: vec![0.0; 8],
            apply_b_dec_to_input: false,
            activation: tiller_sae::Activation::Relu,
            normalisation: tiller_sae::Normalisation::None,
            transcoder: None,
        };
        let drawn = |seed| other_directions(&sae, [4, 1].into_iter(), seed);
        let length = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>().sqrt();
        let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>() / (length(a) * length(b));
        for seed in 0..20 {
            let found = drawn(seed);
            assert!((length(&found[..8]) - 5.0).abs() < 1e-4 && (length(&found[8..]) - 2.0).abs() < 1e-4);
            for found in found.chunks(8) {
                assert_eq!(
                    [0, 2, 3, 5].iter().filter(|&&other| cosine(found, sae.direction(other)) > 0.999).count(),
                    1
                );
            }
        }
        assert_ne!(drawn(1), drawn(2));
    }

    #[test]
    fn positions_act_on_the_neutral_text_as_on_a_run() {
        let listed = |positions| at_listed(&add(&[1.0], positions), 2, 6).positions;
        assert_eq!(listed(Positions::Prompt), Positions::Listed(vec![0, 1]));
        assert_eq!(listed(Positions::Last), Positions::Listed(vec![1]));
        assert_eq!(listed(Positions::Generated), Positions::Listed(vec![2, 3, 4, 5]));
        assert_eq!(listed(Positions::All), Positions::Listed(vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(listed(Positions::Listed(vec![5, 9])), Positions::Listed(vec![5]));
    }
}
