//! Probes: what is asked, and what is found.

use crate::Controlled;
use serde::{Deserialize, Serialize};
use tiller_recipe::{Direction, LabelledText, ReadAt};

/// What to fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeSpec {
    pub rows: Vec<LabelledText>,
    /// By name ("logistic").
    pub method: String,
    pub read: ReadAt,
}

/// A probe at one block's output, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeLayer {
    pub block: u32,
    pub probe: ReadProbe,
    /// Mean L2 norm of the residual stream there, over all texts.
    pub typical_norm: f32,
    /// On the texts that the layer is chosen by.
    pub validation: ProbeScores,
    /// On those that nothing was chosen by.
    pub test: ProbeScores,
    /// Test accuracy of probes of shuffled labels.
    pub shuffled: Vec<f32>,
    /// `None` where no word of the test texts was in training.
    pub control_task: Option<ControlTask>,
    /// Of the test texts.
    pub predictions: Vec<ProbePrediction>,
}

/// What is needed to read by a probe: `probability = sigmoid(slope * (norm * direction . x + bias))`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadProbe {
    pub direction: Direction,
    pub norm: f32,
    pub bias: f32,
    pub slope: f32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeScores {
    pub texts: u32,
    pub accuracy: f32,
    /// Of 95 %, for the accuracy.
    pub low: f32,
    pub high: f32,
    pub balanced_accuracy: Option<f32>,
    pub auc: Option<f32>,
    pub brier: f32,
    /// True positives, false positives, true negatives, false negatives.
    pub confusion: [u32; 4],
    pub calibration: Vec<CalibrationBin>,
}

/// Texts whose probability lies in one tenth of the range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    pub texts: u32,
    /// Their mean probability.
    pub probability: f32,
    /// The share of them that are positive.
    pub positive: f32,
}

/// What a probe makes of random labels of words.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ControlTask {
    pub accuracy: f32,
    /// The test texts it was measured on.
    pub texts: u32,
    pub selectivity: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbePrediction {
    /// The row of the dataset.
    pub row: u32,
    /// Of the positive class.
    pub probability: f32,
    pub positive: bool,
}

/// What is known once all layers are fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeSummary {
    /// The label that counts as positive, and the other.
    pub classes: [String; 2],
    pub training: u32,
    pub validation: u32,
    pub test: u32,
    /// Whether texts of a group were kept together.
    pub by_group: bool,
    /// Test accuracy of always naming the commoner class.
    pub majority: f32,
    /// The best block by the validation texts.
    pub best: u32,
}

/// A probe on every token of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbedText {
    pub tokens: Vec<ProbedToken>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbedToken {
    pub text: String,
    pub score: f32,
    /// Of the positive class.
    pub probability: f32,
}

/// What is left after erasing, and what it costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeErasure {
    pub block: u32,
    /// At the block, and at the last one.
    pub after: Vec<AfterErasure>,
    pub perplexity_plain: f64,
    /// With the erasure at every token, beside erasures of shuffled labels.
    pub perplexity: Controlled,
}

/// Test accuracy of probes that were fitted afresh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AfterErasure {
    pub block: u32,
    pub before: f32,
    pub after: f32,
    /// After erasing shuffled labels instead.
    pub random: Vec<f32>,
}
