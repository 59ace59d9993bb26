//! Probes: what can be read off the activations by a straight cut, and what is left of it when it is erased.
//!
//! A probe says what is decodable; whether the model uses it is another question, for which there are edits. Beside each
//! accuracy stand what shuffled labels reach, what the probe makes of random labels of words (the control task), and what
//! always naming the commoner class would reach.

mod apply;
mod cav;
mod classes;
mod control_task;
mod covariance;
mod derivative;
mod erasure;
mod evaluation;
mod examples;
mod features;
mod fit;
mod lda;
mod leace;
mod logistic;
mod mass_mean;
mod mlp;
mod permutation;
mod reading;
mod ridge;
mod softmax;
mod split;
mod sweep;
mod welch;

pub use apply::{TokenScore, token_scores};
pub use cav::{Cav, CavLayer, CavOptions, Concept, concept_vectors};
pub use classes::{ClassExamples, ClassLayer, ClassMethod, ClassOptions, ClassProbe, ClassSweep, sweep_classes};
pub use control_task::ControlTask;
pub use derivative::derivatives;
pub use erasure::{AfterErasure, Erased, Erasing, erase_and_measure};
pub use evaluation::{CalibrationBin, Confusion, Interval, Scores, auc, wilson};
pub use examples::{Activations, Examples, Read};
pub use fit::{FitOptions, Fitter, Probe, Readout};
pub use leace::Leace;
pub use mlp::{MlpOptions, MlpProbe};
pub use reading::read;
pub use softmax::SoftmaxProbe;
pub use split::{Part, Split};
pub use sweep::{LayerProbe, Prediction, Sweep, SweepOptions, fit, sweep};
pub use tiller_sites::ProbeMethod;
pub use welch::Welch;
