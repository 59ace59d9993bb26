//! Fitting a probe.

use super::covariance::{Classes, Total, Within};
use super::evaluation::slope_of_probability;
use super::examples::Activations;
use super::features::Features;
use super::lda::{Priors, lda};
use super::logistic::{logistic, sigmoid};
use super::mass_mean::mass_mean;
use super::ridge::ridge;
use crate::positive_definite::{Factor, dot};
use serde::Serialize;
use std::cell::OnceCell;
use tiller_sites::ProbeMethod;

/// Whether scores are log odds by themselves. Those of a Gaussian model are only where there are many more texts than
/// numbers in an activation: with fewer they come out in the hundreds.
fn gives_log_odds(method: ProbeMethod) -> bool {
    method == ProbeMethod::Logistic
}

/// How strongly fits are held back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FitOptions {
    /// Logistic regression's C, the weight of a text's loss against `|w|^2 / 2`. Above 0.
    pub c: f64,
    /// Ridge regression's penalty on `|w|^2`, against the sum of squared errors. Above 0.
    pub alpha: f64,
    /// How much of the covariance within classes gives way to a multiple of the identity, above 0 up to 1; `None`: as
    /// Ledoit and Wolf (2004) would have it. For LDA and mass-mean-whitened.
    pub shrinkage: Option<f64>,
}

impl Default for FitOptions {
    /// There are usually fewer texts than numbers in an activation: stronger penalties than scikit-learn's.
    fn default() -> FitOptions {
        FitOptions { c: 0.1, alpha: 100.0, shrinkage: None }
    }
}

impl FitOptions {
    pub(super) fn are_valid(self) -> bool {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        positive(self.c) && positive(self.alpha) && self.shrinkage.is_none_or(|s| s > 0.0 && s <= 1.0)
    }
}

/// A cut through the coordinates of [`Features`]: `score = vector . row + intercept`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cut {
    pub vector: Vec<f64>,
    pub intercept: f64,
}

/// What a probe is once it is fitted: a direction to read along, and where to cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Readout {
    /// On raw activations, `[width]`: `score = weights . x + bias`, positive above 0.
    pub weights: Vec<f64>,
    pub bias: f64,
    /// `probability = sigmoid(slope * score)`: 1 of a logistic regression, else fitted to validation texts (Platt 1999,
    /// without his offset, so that the cut stays at a half).
    pub slope: f64,
}

impl Readout {
    /// Of an activation, `[width]`.
    pub fn score(&self, activation: &[f32]) -> f64 {
        self.weights.iter().zip(activation).map(|(w, &x)| w * f64::from(x)).sum::<f64>() + self.bias
    }

    pub fn probability(&self, score: f64) -> f64 {
        sigmoid(self.slope * score)
    }

    /// L2 norm of `weights`.
    pub fn norm(&self) -> f64 {
        dot(&self.weights, &self.weights).sqrt()
    }
}

/// A probe at one site.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    pub method: ProbeMethod,
    pub readout: Readout,
    /// Of the training texts' activations, `[width]`; what standardising subtracts.
    pub mean: Vec<f64>,
    /// `[width]`: what it divides by; ones for a method that does not standardise.
    pub scale: Vec<f64>,
}

/// The training texts of one site, made ready: fits of other labels on them cost little.
pub struct Fitter {
    method: ProbeMethod,
    options: FitOptions,
    features: Features,
    /// Of all texts; for methods that whiten.
    total: Option<Total>,
    /// The factor that the first fit needed, which later ones use as it is or as a start.
    factor: OnceCell<Option<Factor>>,
}

/// How near to its minimum a fit is brought: of the probe itself, and of controls, of which only the accuracy counts.
const PRECISE: f64 = 1e-7;
const ROUGH: f64 = 1e-2;

impl Fitter {
    pub fn of(method: ProbeMethod, options: FitOptions, activations: &Activations, training: &[usize]) -> Fitter {
        let features = Features::of(activations, training, method != ProbeMethod::MassMean);
        let whitens = matches!(method, ProbeMethod::MassMeanWhitened | ProbeMethod::Lda | ProbeMethod::Ridge);
        let total = whitens.then(|| Total::of(&features));
        Fitter { method, options, features, total, factor: OnceCell::new() }
    }

    /// The probe of these labels of the training texts, of both classes. `validation`: activations and labels that were
    /// not trained on. `None` where there is no cut: the texts' activations do not differ.
    pub fn probe(&self, labels: &[bool], validation: &[(&[f32], bool)]) -> Option<Probe> {
        let cut = self.cut(labels, PRECISE)?;
        let mut readout = self.on_raw(&cut);
        if !gives_log_odds(self.method) {
            let scored: Vec<(f64, bool)> = validation.iter().map(|&(x, label)| (readout.score(x), label)).collect();
            readout.slope = slope_of_probability(&scored);
        }
        let found = readout.bias.is_finite() && readout.norm().is_finite() && readout.norm() > 0.0;
        let (mean, scale) = (self.features.mean.clone(), self.features.scale.clone());
        found.then_some(Probe { method: self.method, readout, mean, scale })
    }

    /// A probe of other labels of the same texts, for its decisions only.
    pub fn control(&self, labels: &[bool]) -> Option<Readout> {
        self.cut(labels, ROUGH).map(|cut| self.on_raw(&cut))
    }

    fn cut(&self, labels: &[bool], tolerance: f64) -> Option<Cut> {
        let Fitter { method, options, features, .. } = self;
        let mixed = labels.iter().any(|&label| label) && labels.iter().any(|&label| !label);
        if features.rank == 0 || !mixed {
            return None;
        }
        let n = features.len() as f64;
        match method {
            ProbeMethod::Logistic => Some(logistic(features, labels, options.c, tolerance)),
            ProbeMethod::MassMean => Some(mass_mean(&Classes::of(features, labels))),
            ProbeMethod::Ridge => {
                let total = self.total.as_ref()?;
                let factor = self.factor.get_or_init(|| total.factor(features.rank, 1.0, options.alpha / n));
                Some(ridge(features, factor.as_ref()?, labels))
            }
            ProbeMethod::MassMeanWhitened | ProbeMethod::Lda => {
                let total = self.total.as_ref()?;
                let classes = Classes::of(features, labels);
                let within = Within::of(features, total, &classes, labels, options.shrinkage);
                let kept = 1.0 - within.shrinkage;
                let near = self.factor.get_or_init(|| total.factor(features.rank, kept, within.ridge));
                let priors = if *method == ProbeMethod::Lda { Priors::Shares } else { Priors::Equal };
                Some(lda(&within, &classes, near.as_ref()?, priors))
            }
        }
    }

    fn on_raw(&self, cut: &Cut) -> Readout {
        let features = &self.features;
        let weights: Vec<f64> = features.back(&cut.vector).iter().zip(&features.scale).map(|(w, s)| w / s).collect();
        let bias = cut.intercept - dot(&weights, &features.mean);
        Readout { weights, bias, slope: 1.0 }
    }
}
