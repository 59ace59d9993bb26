//! A probe at every layer, with its controls, and the layer to look at.

use super::ProbeMethod;
use super::control_task::{ControlTask, random_labels, words};
use super::evaluation::{Scores, accuracy};
use super::examples::{Activations, Examples, Read};
use super::fit::{FitOptions, Fitter, Probe, Readout};
use super::permutation::permuted;
use super::reading::read;
use super::split::{Part, Split};
use crate::InterpError;
use crate::steer::splitmix64;
use serde::Serialize;
use tiller_engine::{Controls, Engine, EngineError, Site};

/// What to fit.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepOptions {
    pub method: ProbeMethod,
    pub fit: FitOptions,
    pub read: Read,
    /// Of the division of the texts, and of all controls.
    pub seed: u64,
    /// How many times labels are shuffled at each site.
    pub permutations: u32,
    /// How many control tasks there are at each site.
    pub control_tasks: u32,
}

impl Default for SweepOptions {
    fn default() -> SweepOptions {
        SweepOptions {
            method: ProbeMethod::default(),
            fit: FitOptions::default(),
            read: Read::default(),
            seed: 1,
            permutations: 5,
            control_tasks: 2,
        }
    }
}

/// Probes at all sites.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    pub split: Split,
    /// In the order of the sites.
    pub layers: Vec<LayerProbe>,
    /// The place of the layer to look at: the best on the validation texts, by accuracy, area, then log loss; of equals
    /// the earlier. What it is worth, the test texts say.
    pub chosen: usize,
    /// The accuracy on the test texts of always naming the commoner class of the training texts.
    pub majority: f64,
}

/// A probe at one site, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerProbe {
    #[serde(serialize_with = "as_text")]
    pub site: Site,
    #[serde(skip)]
    pub probe: Probe,
    /// Mean L2 norm of the activations over all texts.
    pub typical_norm: f64,
    pub validation: Scores,
    pub test: Scores,
    /// The accuracy on the test texts of probes that were fitted to shuffled labels.
    pub shuffled: Vec<f64>,
    /// `None` where no word of the test texts was in training.
    pub control_task: Option<ControlTask>,
    /// Of the texts that were not trained on.
    #[serde(skip)]
    pub predictions: Vec<Prediction>,
}

/// What a probe makes of one text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Prediction {
    pub text: usize,
    pub part: Part,
    /// That the text is positive.
    pub probability: f64,
    pub label: bool,
}

impl Sweep {
    pub fn best(&self) -> &LayerProbe {
        &self.layers[self.chosen]
    }
}

impl LayerProbe {
    /// The test texts that it gets wrong.
    pub fn mistakes(&self) -> impl Iterator<Item = &Prediction> {
        let wrong = |found: &&Prediction| found.part == Part::Test && (found.probability > 0.5) != found.label;
        self.predictions.iter().filter(wrong)
    }
}

/// Reads all sites in one batch and fits a probe at each: [`read`], then [`fit`]. `progress` is told the work done and in
/// all, `sink` each layer as it is fitted.
pub async fn sweep(
    engine: &mut Engine,
    examples: &Examples<'_>,
    sites: &[Site],
    options: &SweepOptions,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
    sink: impl FnMut(&LayerProbe),
) -> Result<Sweep, InterpError> {
    // What cannot be divided is refused before it is read.
    Split::of(examples.labels, examples.groups, options.seed)?;
    let tokens: u64 = examples.tokens.iter().map(|text| text.len() as u64).sum();
    // Fitting a site costs about as much as this many tokens.
    let each = (tokens / (10 * sites.len().max(1) as u64)).max(1);
    let total = tokens + each * sites.len() as u64;
    let activations =
        read(engine, examples.tokens, sites, options.read, &[], controls, |done, _| progress(done, total)).await?;
    let report = |done, _| progress(tokens + each * done, total);
    fit(examples, sites, activations, options, controls, report, sink).await
}

/// Fits a probe at each site to activations that were read before (by site, `[texts, width]`, let go of one after the
/// other). `progress` is told the sites done and in all.
///
/// Errors when the texts cannot be divided, the options make no sense, all texts read alike at a site, or the work was
/// cancelled, which is looked at after every fit.
pub async fn fit(
    examples: &Examples<'_>,
    sites: &[Site],
    activations: Vec<Activations>,
    options: &SweepOptions,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
    mut sink: impl FnMut(&LayerProbe),
) -> Result<Sweep, InterpError> {
    if !options.fit.are_valid() {
        return Err(InterpError::FitOptions);
    }
    let split = Split::of(examples.labels, examples.groups, options.seed)?;
    let parts = Parts::of(examples, &split);
    let words = words(examples);
    let mut layers: Vec<LayerProbe> = Vec::with_capacity(sites.len());
    for (&site, activations) in sites.iter().zip(activations) {
        let layer = fit_site(site, &activations, &parts, &words, options, controls).await?;
        sink(&layer);
        layers.push(layer);
        progress(layers.len() as u64, sites.len() as u64);
    }
    let chosen = (0..layers.len()).rev().max_by(|&a, &b| better(&layers[a].validation, &layers[b].validation));
    let chosen = chosen.ok_or(InterpError::NoLayers)?;
    let positive = parts.labels_of(&parts.training).iter().filter(|&&label| label).count();
    let commoner = 2 * positive >= parts.training.len();
    let sign = if commoner { 1.0 } else { -1.0 };
    let majority = accuracy(parts.test.iter().map(|&text| (sign, examples.labels[text])));
    Ok(Sweep { split, layers, chosen, majority })
}

fn better(a: &Scores, b: &Scores) -> std::cmp::Ordering {
    let area = |scores: &Scores| scores.auc.unwrap_or(0.5);
    let by_loss = b.log_loss.total_cmp(&a.log_loss);
    a.accuracy.total_cmp(&b.accuracy).then(area(a).total_cmp(&area(b))).then(by_loss)
}

/// The texts by what they are for.
struct Parts<'a> {
    labels: &'a [bool],
    training: Vec<usize>,
    validation: Vec<usize>,
    test: Vec<usize>,
    /// Of the training texts.
    groups: Option<Vec<u32>>,
}

impl<'a> Parts<'a> {
    fn of(examples: &Examples<'a>, split: &Split) -> Parts<'a> {
        let training = split.texts(Part::Training);
        let groups = examples.groups.map(|groups| training.iter().map(|&text| groups[text]).collect());
        let (validation, test) = (split.texts(Part::Validation), split.texts(Part::Test));
        Parts { labels: examples.labels, training, validation, test, groups }
    }

    fn labels_of(&self, texts: &[usize]) -> Vec<bool> {
        texts.iter().map(|&text| self.labels[text]).collect()
    }
}

async fn fit_site(
    site: Site,
    activations: &Activations,
    parts: &Parts<'_>,
    words: &[u32],
    options: &SweepOptions,
    controls: &impl Controls,
) -> Result<LayerProbe, InterpError> {
    let fitter = Fitter::of(options.method, options.fit, activations, &parts.training);
    let labels = parts.labels_of(&parts.training);
    let with_labels = |texts: &[usize]| -> Vec<(&[f32], bool)> {
        texts.iter().map(|&text| (activations.row(text), parts.labels[text])).collect()
    };
    let probe = fitter.probe(&labels, &with_labels(&parts.validation)).ok_or(InterpError::NothingToRead { site })?;
    breathe(controls).await?;
    let predict = |part: Part, texts: &[usize]| -> (Vec<(f64, bool)>, Vec<Prediction>) {
        let of_text = |&text: &usize| {
            let (score, label) = (probe.readout.score(activations.row(text)), parts.labels[text]);
            ((score, label), Prediction { text, part, probability: probe.readout.probability(score), label })
        };
        texts.iter().map(of_text).unzip()
    };
    let (validation, mut predictions) = predict(Part::Validation, &parts.validation);
    let (test, of_test) = predict(Part::Test, &parts.test);
    predictions.extend(of_test);
    let test = Scores::of(&test, probe.readout.slope);
    let validation = Scores::of(&validation, probe.readout.slope);

    let right = |readout: &Readout, texts: &[usize], label: &dyn Fn(usize) -> bool| {
        accuracy(texts.iter().map(|&text| (readout.score(activations.row(text)), label(text))))
    };
    let mut shuffled = Vec::with_capacity(options.permutations as usize);
    for n in 0..options.permutations {
        let labels = permuted(&labels, parts.groups.as_deref(), splitmix64(options.seed, n.into()));
        let readout = fitter.control(&labels).ok_or(InterpError::NothingToRead { site })?;
        shuffled.push(right(&readout, &parts.test, &|text| parts.labels[text]));
        breathe(controls).await?;
    }

    let in_training = |text: &usize| parts.training.iter().any(|&known| words[known] == words[*text]);
    let known: Vec<usize> = parts.test.iter().copied().filter(in_training).collect();
    let mut accuracies = Vec::new();
    for n in 0..options.control_tasks {
        let seed = splitmix64(!options.seed, n.into());
        let Some(of_words) = random_labels(words, seed).filter(|_| !known.is_empty()) else { break };
        let labels: Vec<bool> = parts.training.iter().map(|&text| of_words[text]).collect();
        if let Some(readout) = fitter.control(&labels) {
            accuracies.push(right(&readout, &known, &|text| of_words[text]));
        }
        breathe(controls).await?;
    }
    let control_task = (!accuracies.is_empty()).then(|| {
        let control = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
        ControlTask { accuracy: control, texts: known.len(), selectivity: test.accuracy - control }
    });
    let typical_norm = activations.typical_norm();
    Ok(LayerProbe { site, probe, typical_norm, validation, test, shuffled, control_task, predictions })
}

/// Lets others run, and ends where it is asked to.
pub(super) async fn breathe(controls: &impl Controls) -> Result<(), InterpError> {
    controls.pause().await;
    match controls.cancelled() {
        true => Err(EngineError::Cancelled.into()),
        false => Ok(()),
    }
}

pub(super) fn as_text<S: serde::Serializer>(site: &Site, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(site)
}
