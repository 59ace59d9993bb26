//! Holding neurons at an activation, and what that does to the words they write.

use super::{ValueVectors, logits_of};
use crate::InterpError;
use crate::evidence::{Controlled, likelihood};
use crate::lens::largest;
use crate::shuffle::shuffled;
use crate::typical_norm::typical_norms;
use serde::Serialize;
use tiller_engine::{Controls, Edit, Engine, Operation, Part, Site};

/// Tokens that are followed where no words are given: those that the neurons together raise most.
const FOLLOWED: usize = 10;

/// What to clamp.
#[derive(Clone, Copy, Debug)]
pub struct Clamping<'a> {
    /// Neurons of the block, each with the sign of the activation it is held at.
    pub neurons: &'a [(u32, f32)],
    /// How much they write together, at most (if all pointed one way), in multiples of the typical norm of the residual
    /// stream after the block. Each writes as much as any other.
    pub strength: f32,
    /// Token ids whose probability is followed; where there are none, the ten that the neurons together raise most.
    pub words: &'a [u32],
    /// The text over which probability and perplexity are taken.
    pub neutral: &'a [u32],
    /// One set of random neurons for each.
    pub seeds: &'a [u32],
}

/// What clamping does and costs, beside as many random neurons of the block that write as much.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Clamped {
    pub neurons: Vec<u32>,
    /// The activation that each is held at.
    pub activations: Vec<f32>,
    pub words: Vec<u32>,
    /// By what factor the words' probability together rises: the geometric mean over the text's tokens.
    pub factor: Controlled,
    pub perplexity_plain: f64,
    pub perplexity: Controlled,
}

/// Sets the neurons' activations (`blocks.N.mlp.hook_post`) at every token of the neutral text.
///
/// The control is as many neurons of the same block, drawn by a seed from the others, each held at the activation at which
/// it writes as long a vector, with the sign of the neuron that it stands for. `progress` is told the tokens done and in
/// all. Errors when no neurons are named or more than half of the block's, one is not there or named twice, the neutral text
/// is too short, an output is not finite, or the work was cancelled.
pub async fn clamp(
    engine: &mut Engine,
    values: &ValueVectors,
    what: &Clamping<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<Clamped, InterpError> {
    let neurons: Vec<u32> = what.neurons.iter().map(|(neuron, _)| *neuron).collect();
    values.check(&neurons)?;
    if neurons.is_empty() || neurons.len() > values.len() as usize / 2 {
        return Err(InterpError::NoNeurons { of: values.len() });
    }
    let passes = (3 + what.seeds.len()) as u64;
    let (length, mut done) = (what.neutral.len() as u64, 0);
    let mut within = |tokens: u64, pass: u64| progress((pass * length + tokens).min(passes * length), passes * length);

    let typical = typical_norms(engine, &[values.layer], what.neutral, controls, |n, _| within(n, 0)).await?[0];
    let each = what.strength * typical as f32 / neurons.len() as f32;
    let words = match what.words {
        [] => raised(engine, values, what.neurons, controls).await?,
        words => words.to_vec(),
    };
    done += 1;
    let plain = read(engine, what.neutral, &words, &[], controls, |n, _| within(n, done)).await?;
    done += 1;
    let signs: Vec<f32> = what.neurons.iter().map(|(_, sign)| *sign).collect();
    let activations = equal_lengths(values, &neurons, &signs, each);
    let edit = [held(values.layer, &neurons, &activations)];
    let clamped = read(engine, what.neutral, &words, &edit, controls, |n, _| within(n, done)).await?;
    done += 1;
    let factor = |found: &Read| (found.log_probability - plain.log_probability).exp();
    let mut report = Clamped {
        factor: Controlled { value: factor(&clamped), random: Vec::with_capacity(what.seeds.len()) },
        perplexity_plain: plain.perplexity,
        perplexity: Controlled { value: clamped.perplexity, random: Vec::with_capacity(what.seeds.len()) },
        neurons,
        activations,
        words,
    };
    for &seed in what.seeds {
        let others = shuffled(u64::from(seed), values.len() as usize).into_iter().map(|neuron| neuron as u32);
        let random: Vec<u32> =
            others.filter(|neuron| !report.neurons.contains(neuron)).take(report.neurons.len()).collect();
        let edit = [held(values.layer, &random, &equal_lengths(values, &random, &signs, each))];
        let found = read(engine, what.neutral, &report.words, &edit, controls, |n, _| within(n, done)).await?;
        done += 1;
        report.factor.random.push(factor(&found));
        report.perplexity.random.push(found.perplexity);
    }
    Ok(report)
}

/// The activations at which the neurons each write a vector of length `each`.
fn equal_lengths(values: &ValueVectors, neurons: &[u32], signs: &[f32], each: f32) -> Vec<f32> {
    let activation = |(&neuron, &sign): (&u32, &f32)| match values.norm(neuron) as f32 {
        norm if norm > 0.0 => sign.signum() * each / norm,
        _ => 0.0,
    };
    neurons.iter().zip(signs).map(activation).collect()
}

fn held(layer: u32, neurons: &[u32], activations: &[f32]) -> Edit {
    let operation = Operation::Set { values: activations.into(), coefficient: 1.0 };
    Edit::new(Site::MlpPost(layer), operation).on(Part::Units(neurons.into()))
}

/// The tokens that equal lengths of the neurons' value vectors together raise most.
async fn raised(
    engine: &mut Engine,
    values: &ValueVectors,
    neurons: &[(u32, f32)],
    controls: &impl Controls,
) -> Result<Vec<u32>, InterpError> {
    let mut sum = vec![0.0; engine.config().width as usize];
    for &(neuron, sign) in neurons {
        let scale = sign.signum() / values.norm(neuron).max(f64::from(f32::MIN_POSITIVE)) as f32;
        sum.iter_mut().zip(values.vector(neuron)).for_each(|(sum, x)| *sum += scale * x);
    }
    let mut most = Vec::new();
    logits_of(engine, &[sum], controls, &mut |_, _| {}, |_, logits| most = largest(logits, FOLLOWED)).await?;
    Ok(most)
}

/// The text as a run reads it.
struct Read {
    /// Mean over the text's tokens of the natural logarithm of the words' probability together.
    log_probability: f64,
    perplexity: f64,
}

async fn read(
    engine: &mut Engine,
    neutral: &[u32],
    words: &[u32],
    edits: &[Edit],
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<Read, InterpError> {
    let (mut sum, mut count) = (0.0, 0);
    let perplexity = likelihood::perplexity(engine, neutral, edits, controls, progress, |_, distribution| {
        sum += words.iter().map(|&word| distribution.at(word as usize).exp()).sum::<f64>().ln();
        count += 1;
    })
    .await?;
    match (sum / f64::from(count), perplexity) {
        (log_probability, perplexity) if log_probability.is_finite() && perplexity.is_finite() => {
            Ok(Read { log_probability, perplexity })
        }
        _ => Err(InterpError::Overdriven),
    }
}
