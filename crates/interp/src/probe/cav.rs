//! Concept activation vectors: whether an answer goes up along the direction that tells a concept's texts from others.

use super::derivative::derivatives;
use super::evaluation::accuracy;
use super::examples::{Activations, Read};
use super::fit::{FitOptions, Fitter};
use super::reading::read;
use super::sweep::{as_text, breathe};
use super::{ProbeMethod, welch::Welch};
use crate::InterpError;
use crate::patch::Metric;
use crate::shuffle::shuffled;
use crate::steer::splitmix64;
use serde::Serialize;
use tiller_engine::{Controls, Engine, Site};

/// What to ask.
#[derive(Clone, Debug)]
pub struct Concept<'a> {
    /// Texts that have the concept, as token ids.
    pub positive: &'a [Vec<u32>],
    /// Texts of all kinds, of which negative sets and the random concepts are drawn: at least twice as many as half of
    /// the positive ones.
    pub others: &'a [Vec<u32>],
    /// Texts after whose last token the answer is looked at.
    pub prompts: &'a [Vec<u32>],
    /// What counts as the answer.
    pub metric: Metric,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CavOptions {
    pub fit: FitOptions,
    pub seed: u64,
    /// How many vectors of the concept there are, each of another half of its texts against another set of others; and
    /// as many of random concepts. At least 3, better 20 or more.
    pub sets: usize,
    /// How far the answer's derivative looks along a vector, as a share of the activations' typical norm.
    pub step: f64,
}

impl Default for CavOptions {
    fn default() -> CavOptions {
        CavOptions { fit: FitOptions::default(), seed: 1, sets: 20, step: 0.02 }
    }
}

/// What is found at one site.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CavLayer {
    #[serde(serialize_with = "as_text")]
    pub site: Site,
    /// Unit length, the mean of the concept's vectors, `[width]`.
    #[serde(skip)]
    pub direction: Vec<f32>,
    /// By vector.
    pub concept: Vec<Cav>,
    /// The control: vectors of texts drawn at random, against others drawn at random.
    pub random: Vec<Cav>,
    /// Of the share of prompts whose answer goes up, concept against random; `None` where it is the same every time.
    pub share_test: Option<Welch>,
    /// Of the mean sensitivity's size, concept against random.
    pub size_test: Option<Welch>,
}

/// One vector.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cav {
    /// On the texts of its two sets that it was not fitted to.
    pub accuracy: f64,
    /// The share of prompts whose answer goes up along it: the TCAV score.
    pub score: f64,
    /// Mean over the prompts of the answer's derivative along it, for a step as long as the typical norm.
    pub sensitivity: f64,
}

/// Concept activation vectors at every site (Kim et al. 2018, "Interpretability Beyond Feature Attribution", sections 3.2
/// to 3.4), read and changed at the last token. The derivative is a difference of two passes, a small step along the
/// vector and one against it.
///
/// The test is Welch's, two-sided, of the concept's scores against those of random concepts, which is what the paper asks
/// for. A score counts signs, however small what has them, and vectors of one concept share its texts, and so their errors:
/// a concept that the model does not use is easily called significant by its scores alone (docs/league.md). The size of the
/// sensitivity is tested beside them: see [`CavLayer::is_used`].
///
/// `progress` is told the work done and in all, `sink` each site as it is done. Errors where there are too few texts, an
/// option makes no sense, a text is empty or too long, a number is not finite, or the work was cancelled.
pub async fn concept_vectors(
    engine: &mut Engine,
    concept: &Concept<'_>,
    sites: &[Site],
    options: &CavOptions,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
    mut sink: impl FnMut(&CavLayer),
) -> Result<Vec<CavLayer>, InterpError> {
    let half = concept.positive.len() / 2;
    if half < 3 || concept.others.len() < 2 * half || concept.prompts.is_empty() {
        return Err(InterpError::TooFewForConcept { others: 2 * half.max(3) });
    }
    if !options.fit.are_valid() || options.sets < 3 || !(options.step > 0.0 && options.step < 1.0) {
        return Err(InterpError::ConceptOptions);
    }
    concept.metric.check(engine)?;
    let texts: Vec<Vec<u32>> = concept.positive.iter().chain(concept.others).cloned().collect();
    let tokens: u64 = texts.iter().map(|text| text.len() as u64).sum();
    let runs = 4 * (options.sets * concept.prompts.len() * sites.len()) as u64;
    let total = tokens + runs;
    let activations = read(engine, &texts, sites, Read::Last, &[], controls, |done, _| progress(done, total)).await?;
    let mut layers = Vec::with_capacity(sites.len());
    for (n, (&site, activations)) in sites.iter().zip(activations).enumerate() {
        let vectors = vectors(site, &activations, concept.positive.len(), options, controls).await?;
        let before = tokens + runs * n as u64 / sites.len() as u64;
        let report = |done| progress(before + done, total);
        let layer = measure(engine, concept, site, &activations, vectors, options, controls, report).await?;
        sink(&layer);
        layers.push(layer);
    }
    Ok(layers)
}

impl CavLayer {
    /// Whether the scores differ from those of random concepts, and the sensitivity is larger than theirs; at 5 % divided
    /// by as many tests as sites and the two of each (Bonferroni).
    pub fn is_used(&self, sites: usize) -> bool {
        let below = |test: &Welch| test.p < 0.05 / (2 * sites.max(1)) as f64;
        self.share_test.is_some_and(|test| below(&test))
            && self.size_test.is_some_and(|test| below(&test) && test.t > 0.0)
    }
}

/// A unit vector, and how well it tells unseen texts apart.
struct Fitted {
    unit: Vec<f32>,
    accuracy: f64,
}

/// The concept's vectors, then as many random ones.
async fn vectors(
    site: Site,
    activations: &Activations,
    positive: usize,
    options: &CavOptions,
    controls: &impl Controls,
) -> Result<[Vec<Fitted>; 2], InterpError> {
    let (half, others) = (positive / 2, activations.len() - positive);
    let mut found = [Vec::new(), Vec::new()];
    for (kind, found) in found.iter_mut().enumerate() {
        for set in 0..options.sets as u64 {
            let seed = |part: u64| splitmix64(options.seed, (set << 2) + part + ((kind as u64) << 32));
            let drawn: Vec<usize> = shuffled(seed(0), others).into_iter().map(|text| positive + text).collect();
            let (first, second) = match kind {
                0 => (shuffled(seed(1), positive)[..half].to_vec(), drawn[..half].to_vec()),
                _ => (drawn[..half].to_vec(), drawn[half..2 * half].to_vec()),
            };
            // A third of each set is held out.
            let trained = half - (half / 3).max(1);
            let training: Vec<usize> = first[..trained].iter().chain(&second[..trained]).copied().collect();
            let labels: Vec<bool> = (0..2 * trained).map(|n| n < trained).collect();
            let fitter = Fitter::of(ProbeMethod::Logistic, options.fit, activations, &training);
            let readout = fitter.probe(&labels, &[]).ok_or(InterpError::NothingToRead { site })?.readout;
            let unseen = |texts: &[usize], label: bool| {
                let score = |&text: &usize| (readout.score(activations.row(text)), label);
                texts[trained..].iter().map(score).collect::<Vec<_>>()
            };
            let accuracy = accuracy([unseen(&first, true), unseen(&second, false)].into_iter().flatten());
            let norm = readout.norm();
            let unit = readout.weights.iter().map(|w| (w / norm) as f32).collect();
            found.push(Fitted { unit, accuracy });
            breathe(controls).await?;
        }
    }
    Ok(found)
}

#[allow(clippy::too_many_arguments)]
async fn measure(
    engine: &mut Engine,
    concept: &Concept<'_>,
    site: Site,
    activations: &Activations,
    vectors: [Vec<Fitted>; 2],
    options: &CavOptions,
    controls: &impl Controls,
    mut progress: impl FnMut(u64),
) -> Result<CavLayer, InterpError> {
    let typical = activations.typical_norm();
    let step = (options.step * typical) as f32;
    let directions: Vec<&[f32]> = vectors.iter().flatten().map(|vector| &vector.unit[..]).collect();
    // By vector and prompt.
    let mut slopes = vec![Vec::with_capacity(concept.prompts.len()); directions.len()];
    let mut done = 0;
    for prompt in concept.prompts {
        let report = |now, _| progress(done + now);
        let found = derivatives(engine, prompt, site, &directions, step, concept.metric, controls, report).await?;
        slopes.iter_mut().zip(found).for_each(|(slopes, slope)| slopes.push(slope * typical));
        done += 2 * directions.len() as u64;
        breathe(controls).await?;
    }
    let mut measured = vectors.iter().flatten().zip(&slopes).map(|(vector, slopes)| {
        let count = slopes.len() as f64;
        Cav {
            accuracy: vector.accuracy,
            score: slopes.iter().filter(|&&slope| slope > 0.0).count() as f64 / count,
            sensitivity: slopes.iter().sum::<f64>() / count,
        }
    });
    let of_concept: Vec<Cav> = measured.by_ref().take(vectors[0].len()).collect();
    let random: Vec<Cav> = measured.collect();
    let test = |of: fn(&Cav) -> f64| {
        let values = |cavs: &[Cav]| cavs.iter().map(of).collect::<Vec<f64>>();
        Welch::of(&values(&of_concept), &values(&random))
    };
    let mut sum = vec![0.0f64; activations.width()];
    for vector in &vectors[0] {
        sum.iter_mut().zip(&vector.unit).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let norm = sum.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    Ok(CavLayer {
        site,
        direction: sum.into_iter().map(|x| (x / norm) as f32).collect(),
        share_test: test(|cav| cav.score),
        size_test: test(|cav| cav.sensitivity.abs()),
        concept: of_concept,
        random,
    })
}
