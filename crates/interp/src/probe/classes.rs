//! A probe of two classes or more, straight or with a hidden layer, at every layer, with its control, and the layer to look at.

use super::evaluation::{Interval, wilson};
use super::examples::{Activations, Read};
use super::mlp::{MlpOptions, MlpProbe};
use super::permutation::permuted;
use super::reading::read;
use super::softmax::SoftmaxProbe;
use super::split::{Part, Split};
use super::sweep::{as_text, breathe};
use crate::InterpError;
use crate::steer::splitmix64;
use serde::Serialize;
use tiller_engine::{Controls, Engine, Site};

/// How near to its minimum a fit is brought: of the probe itself, and of controls, of which only the accuracy counts.
const PRECISE: f64 = 1e-7;
const ROUGH: f64 = 1e-2;

/// Texts, as token ids, with the class that a probe is to read off them.
#[derive(Clone, Copy, Debug)]
pub struct ClassExamples<'a> {
    pub tokens: &'a [Vec<u32>],
    /// Each below `classes`.
    pub labels: &'a [usize],
    pub classes: usize,
    /// As in [`Examples`](super::Examples).
    pub groups: Option<&'a [u32]>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassOptions {
    pub method: ClassMethod,
    pub read: Read,
    /// Of the division of the texts and of the control.
    pub seed: u64,
    /// How many times labels are shuffled at each site.
    pub permutations: u32,
}

/// How a probe of several classes is fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClassMethod {
    /// Logistic regression, with its C, above 0.
    Softmax { c: f64 },
    /// One hidden layer.
    Mlp(MlpOptions),
}

/// What a probe of several classes is once it is fitted.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassProbe {
    Softmax(SoftmaxProbe),
    Mlp(MlpProbe),
}

impl ClassProbe {
    /// The most probable class of an activation, `[width]`; of equals the first.
    pub fn class(&self, activation: &[f32]) -> usize {
        let probabilities = match self {
            ClassProbe::Softmax(probe) => probe.probabilities(activation),
            ClassProbe::Mlp(probe) => probe.probabilities(activation),
        };
        (0..probabilities.len()).rev().max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b])).unwrap_or(0)
    }
}

/// Probes at all sites.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassSweep {
    pub split: Split,
    /// In the order of the sites.
    pub layers: Vec<ClassLayer>,
    /// The place of the most accurate on the validation texts; of equals the earlier.
    pub chosen: usize,
    /// The accuracy on the test texts of always naming the commonest class of the training texts.
    pub majority: f64,
}

/// A probe at one site, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassLayer {
    #[serde(serialize_with = "as_text")]
    pub site: Site,
    #[serde(skip)]
    pub probe: ClassProbe,
    /// Accuracies.
    pub validation: f64,
    pub test: f64,
    /// Wilson's, of 95 %, for the accuracy on the test texts.
    pub interval: Interval,
    /// Test texts, by their class and then by the one that was read.
    pub confusion: Vec<Vec<usize>>,
    /// The accuracy on the test texts of probes that were fitted to shuffled labels.
    pub shuffled: Vec<f64>,
}

/// Reads all sites in one batch and fits a probe at each ([`SoftmaxProbe::fit`], [`MlpProbe::fit`]); texts are divided as for two
/// classes. `progress` is told the work done and in all, `sink` each layer as it is fitted.
///
/// Errors when the texts cannot be divided so that each part has all classes, an option makes no sense, all texts read alike at a
/// site, or the work was cancelled.
pub async fn sweep_classes(
    engine: &mut Engine,
    examples: &ClassExamples<'_>,
    sites: &[Site],
    options: &ClassOptions,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
    mut sink: impl FnMut(&ClassLayer),
) -> Result<ClassSweep, InterpError> {
    match options.method {
        ClassMethod::Softmax { c } if !(c > 0.0 && c.is_finite()) => return Err(InterpError::FitOptions),
        ClassMethod::Mlp(mlp) if !mlp.are_valid() => return Err(InterpError::MlpOptions),
        _ => {}
    }
    let split = Split::of_classes(examples.labels, examples.classes, examples.groups, options.seed)?;
    let tokens: u64 = examples.tokens.iter().map(|text| text.len() as u64).sum();
    // Fitting a site costs about as much as this many tokens.
    let each = (tokens / (10 * sites.len().max(1) as u64)).max(1);
    let total = tokens + each * sites.len() as u64;
    let activations =
        read(engine, examples.tokens, sites, options.read, &[], controls, |done, _| progress(done, total)).await?;
    let mut layers: Vec<ClassLayer> = Vec::with_capacity(sites.len());
    for (&site, activations) in sites.iter().zip(activations) {
        let layer = fit_site(site, &activations, examples, &split, options, controls).await?;
        sink(&layer);
        layers.push(layer);
        progress(tokens + each * layers.len() as u64, total);
    }
    let chosen = (0..layers.len()).rev().max_by(|&a, &b| layers[a].validation.total_cmp(&layers[b].validation));
    let chosen = chosen.ok_or(InterpError::NoLayers)?;
    let (training, test) = (split.texts(Part::Training), split.texts(Part::Test));
    let count = |texts: &[usize], class: usize| texts.iter().filter(|&&text| examples.labels[text] == class).count();
    let commonest = (0..examples.classes).rev().max_by_key(|&class| count(&training, class)).unwrap_or(0);
    let majority = count(&test, commonest) as f64 / test.len() as f64;
    Ok(ClassSweep { split, layers, chosen, majority })
}

async fn fit_site(
    site: Site,
    activations: &Activations,
    examples: &ClassExamples<'_>,
    split: &Split,
    options: &ClassOptions,
    controls: &impl Controls,
) -> Result<ClassLayer, InterpError> {
    let [training, validation, test] = [Part::Training, Part::Validation, Part::Test].map(|part| split.texts(part));
    let labels: Vec<usize> = training.iter().map(|&text| examples.labels[text]).collect();
    let groups: Option<Vec<u32>> = examples.groups.map(|groups| training.iter().map(|&text| groups[text]).collect());
    let fitted = |labels: &[usize], tolerance| {
        let classes = examples.classes;
        let probe = match &options.method {
            ClassMethod::Softmax { c } => {
                SoftmaxProbe::fit(activations, &training, labels, classes, *c, tolerance).map(ClassProbe::Softmax)
            }
            ClassMethod::Mlp(mlp) => MlpProbe::fit(activations, &training, labels, classes, mlp).map(ClassProbe::Mlp),
        };
        probe.ok_or(InterpError::NothingToRead { site })
    };
    let right = |probe: &ClassProbe, texts: &[usize]| {
        texts.iter().filter(|&&text| probe.class(activations.row(text)) == examples.labels[text]).count()
    };
    let share = |right: usize, texts: &[usize]| right as f64 / texts.len() as f64;
    let probe = fitted(&labels, PRECISE)?;
    breathe(controls).await?;
    let mut shuffled = Vec::with_capacity(options.permutations as usize);
    for n in 0..options.permutations {
        let labels = permuted(&labels, groups.as_deref(), splitmix64(options.seed, n.into()));
        shuffled.push(share(right(&fitted(&labels, ROUGH)?, &test), &test));
        breathe(controls).await?;
    }
    let mut confusion = vec![vec![0; examples.classes]; examples.classes];
    for &text in &test {
        confusion[examples.labels[text]][probe.class(activations.row(text))] += 1;
    }
    let of_test = right(&probe, &test);
    Ok(ClassLayer {
        site,
        validation: share(right(&probe, &validation), &validation),
        test: share(of_test, &test),
        interval: wilson(of_test, test.len()),
        confusion,
        shuffled,
        probe,
    })
}
