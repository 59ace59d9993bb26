//! What adding to a component's neurons does to the words that it writes, at a given change of the output.

use super::mlp_components::Component;
use crate::InterpError;
use crate::evidence::{Controlled, likelihood};
use crate::lens::largest;
use crate::log_softmax::LogSoftmax;
use crate::neurons::{ValueVectors, logits_of};
use crate::shuffle::shuffled;
use serde::Serialize;
use tiller_engine::{Controls, Edit, Engine, Site};

/// Words that are followed: those that the component's value vectors together raise most.
const FOLLOWED: usize = 10;
/// Steps that narrow down how much to add.
const STEPS: usize = 10;
/// Places of the text at which distributions are compared.
const COMPARED: usize = 16;

/// How to steer.
#[derive(Clone, Copy, Debug)]
pub struct ComponentSteering<'a> {
    /// Mean Kullback-Leibler divergence of the steered next-token distributions from the plain ones over the neutral text,
    /// nats: how much is added is chosen so that it is this, for the component as for each random one (Shafran et al. 2025).
    pub divergence: f64,
    pub neutral: &'a [u32],
    /// One random component for each: the same weights at other neurons.
    pub seeds: &'a [u32],
}

/// What steering does, beside random components that change the output as much.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SteeredComponent {
    pub words: Vec<u32>,
    /// The length of what is added to the neurons' activations.
    pub added: Controlled,
    /// The divergence that was reached.
    pub divergence: Controlled,
    /// By what factor the words' probability together rises: the geometric mean over the text's tokens.
    pub factor: Controlled,
    pub perplexity_plain: f64,
    pub perplexity: Controlled,
}

/// Adds the component to its neurons at every token of the neutral text but those that count as the prompt.
///
/// `progress` is told the passes done and in all. Errors when the block is missing, the text is too short, an output is not
/// finite however little is added, or the work was cancelled.
pub async fn steer_component(
    engine: &mut Engine,
    values: &ValueVectors,
    component: &Component,
    what: &ComponentSteering<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<SteeredComponent, InterpError> {
    let width = values.len();
    let units: Vec<u32> = component.neurons.iter().map(|&(neuron, _)| neuron).collect();
    if let Some(&neuron) = units.iter().find(|&&neuron| neuron >= width) {
        return Err(InterpError::NoNeuron { layer: values.layer, neuron, last: width.saturating_sub(1) });
    }
    let mut written = vec![0.0; engine.config().width as usize];
    for &(neuron, weight) in &component.neurons {
        written.iter_mut().zip(values.vector(neuron)).for_each(|(sum, x)| *sum += weight * x);
    }
    let mut words = Vec::new();
    logits_of(engine, &[written], controls, &mut |_, _| {}, |_, logits| words = largest(logits, FOLLOWED)).await?;

    let dense = |neurons: &[u32]| {
        let mut vector = vec![0.0; width as usize];
        neurons.iter().zip(&component.neurons).for_each(|(&neuron, &(_, weight))| vector[neuron as usize] = weight);
        vector
    };
    let random = |&seed: &u32| {
        let others = shuffled(u64::from(seed), width as usize).into_iter().map(|neuron| neuron as u32);
        dense(&others.filter(|neuron| !units.contains(neuron)).take(units.len()).collect::<Vec<u32>>())
    };
    let vectors: Vec<Vec<f32>> = [dense(&units)].into_iter().chain(what.seeds.iter().map(random)).collect();
    let (mut done, passes) = (0, 1 + (vectors.len() * STEPS) as u64);

    let mut plain: Vec<(usize, LogSoftmax)> = Vec::new();
    let reader = Reader { neutral: what.neutral, words: &words };
    let unsteered = reader.read(engine, &[], &mut plain, true, controls).await?;
    let mut found = SteeredComponent {
        words: words.clone(),
        added: empty(),
        divergence: empty(),
        factor: empty(),
        perplexity_plain: unsteered.perplexity,
        perplexity: empty(),
    };
    for (n, vector) in vectors.iter().enumerate() {
        let site = Site::MlpPost(values.layer);
        // Doubled until the divergence is passed, then halved between: it grows with what is added.
        let (mut low, mut high, mut at) = (0.0f32, None, 1.0f32);
        let mut best: Option<(f32, Read)> = None;
        for _ in 0..STEPS {
            done += 1;
            progress(done, passes);
            let edit = [Edit::add(site, vector.clone(), at)];
            match reader.read(engine, &edit, &mut plain, false, controls).await {
                Ok(read) => {
                    let near = |read: &Read| (read.divergence - what.divergence).abs();
                    if read.divergence < what.divergence {
                        low = at;
                    } else {
                        high = Some(at);
                    }
                    if best.as_ref().is_none_or(|(_, best)| near(&read) < near(best)) {
                        best = Some((at, read));
                    }
                }
                Err(InterpError::Overdriven) => high = Some(at),
                Err(error) => return Err(error),
            }
            at = high.map_or(at * 4.0, |high| (low + high) / 2.0);
        }
        let (at, read) = best.ok_or(InterpError::Overdriven)?;
        let factor = (read.log_probability - unsteered.log_probability).exp();
        let places = [
            (&mut found.added, f64::from(at)),
            (&mut found.divergence, read.divergence),
            (&mut found.factor, factor),
            (&mut found.perplexity, read.perplexity),
        ];
        for (place, value) in places {
            if n == 0 { place.value = value } else { place.random.push(value) }
        }
    }
    progress(passes, passes);
    Ok(found)
}

fn empty() -> Controlled {
    Controlled { value: 0.0, random: Vec::new() }
}

/// The neutral text as a run reads it.
struct Read {
    /// Mean over the text's tokens of the natural logarithm of the words' probability together.
    log_probability: f64,
    /// From the plain run, nats.
    divergence: f64,
    perplexity: f64,
}

struct Reader<'a> {
    neutral: &'a [u32],
    words: &'a [u32],
}

impl Reader<'_> {
    /// `plain`: what is compared with, by position; to be filled where `keep`.
    async fn read(
        &self,
        engine: &mut Engine,
        edits: &[Edit],
        plain: &mut Vec<(usize, LogSoftmax)>,
        keep: bool,
        controls: &impl Controls,
    ) -> Result<Read, InterpError> {
        let every = self.neutral.len().div_ceil(COMPARED).max(1);
        let (mut sum, mut count, mut divergence) = (0.0, 0.0, 0.0);
        let perplexity = likelihood::perplexity(
            engine,
            self.neutral,
            edits,
            controls,
            |_, _| {},
            |position, distribution| {
                sum += self.words.iter().map(|&word| distribution.at(word as usize).exp()).sum::<f64>().ln();
                count += 1.0;
                if keep && position.is_multiple_of(every) {
                    plain.push((position, distribution.clone()));
                } else if let Some((_, reference)) = plain.iter().find(|(at, _)| *at == position) {
                    divergence += distribution.divergence(reference);
                }
            },
        )
        .await?;
        let (log_probability, divergence) = (sum / count, divergence / plain.len().max(1) as f64);
        match log_probability.is_finite() && perplexity.is_finite() && divergence.is_finite() {
            true => Ok(Read { log_probability, divergence, perplexity }),
            false => Err(InterpError::Overdriven),
        }
    }
}
