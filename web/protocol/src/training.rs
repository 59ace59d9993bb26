//! Training a sparse autoencoder in the tab.

use crate::{ModelRef, SaeInfo};
use serde::{Deserialize, Serialize};

/// Of the texts, at most so many tokens are read.
pub const MOST_TRAINING_TOKENS: u32 = 32_768;
/// With fewer there is nothing to hold back.
pub const FEWEST_TRAINING_TOKENS: u32 = 300;
/// Letters of all texts: more than that many tokens ever have.
pub const MOST_TRAINING_LETTERS: usize = 1 << 18;

/// What an SAE is called that was trained in the tab.
pub const TRAINED: &str = "Trained in this tab";

/// What to do about a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TrainRequest {
    /// Read the texts' activations, then train, in the place of any other training. A job that is cancelled pauses
    /// ([`TrainEvent::Paused`]), and what there is by then is kept.
    Begin(TrainSpec),
    Resume,
    /// End it here: what has been learnt becomes the SAE that is loaded.
    Keep,
    Discard,
}

/// What to train on, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainSpec {
    pub texts: Vec<String>,
    /// The activation, under TransformerLens's name.
    pub site: String,
    pub features: u32,
    pub method: TrainMethod,
    /// Features that are active at once, for those methods that fix it.
    pub k: u32,
    /// What a feature costs, for the others.
    pub sparsity: f32,
    pub steps: u32,
    pub learning_rate: f32,
    pub seed: u32,
    pub device: TrainDevice,
}

/// What makes the steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainDevice {
    /// The model's GPU where it runs on one that is no software, and the method is one for it; else the CPU.
    #[default]
    Auto,
    /// The model's GPU, even where it is software.
    Gpu,
    Cpu,
}

impl TrainDevice {
    pub const ALL: [TrainDevice; 3] = [TrainDevice::Auto, TrainDevice::Gpu, TrainDevice::Cpu];

    pub fn title(self) -> &'static str {
        match self {
            TrainDevice::Auto => "Choose for me",
            TrainDevice::Gpu => "WebGPU",
            TrainDevice::Cpu => "CPU",
        }
    }
}

/// What keeps features sparse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainMethod {
    #[default]
    TopK,
    BatchTopK,
    Standard,
    JumpRelu,
    MatchingPursuit,
}

impl TrainMethod {
    pub const ALL: [TrainMethod; 5] = [
        TrainMethod::TopK,
        TrainMethod::BatchTopK,
        TrainMethod::Standard,
        TrainMethod::JumpRelu,
        TrainMethod::MatchingPursuit,
    ];

    pub fn title(self) -> &'static str {
        match self {
            TrainMethod::TopK => "TopK",
            TrainMethod::BatchTopK => "BatchTopK",
            TrainMethod::Standard => "Standard (L1)",
            TrainMethod::JumpRelu => "JumpReLU",
            TrainMethod::MatchingPursuit => "Matching pursuit",
        }
    }

    /// Whether it is told how many features are active at once.
    pub fn has_k(self) -> bool {
        matches!(self, TrainMethod::TopK | TrainMethod::BatchTopK | TrainMethod::MatchingPursuit)
    }
}

/// How a training goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TrainEvent {
    /// The texts are tokens; their activations are read next.
    Text(TrainingText),
    /// A step was made. Not every one is told.
    Step(TrainStep),
    /// All steps are made; it is measured on what was held back, and its features are looked for in the text.
    Judging,
    /// Ends the job: it can go on.
    Paused,
    /// Ends the job: the device that made the steps failed. What it had learnt by this step can be kept.
    Stuck { step: u32, reason: String },
    /// Ends the job: there is no training any more.
    Discarded,
    /// Ends the job: it is the SAE that is loaded now.
    /// `kept`: under what name it is kept in this browser, where there was room.
    Trained { sae: SaeInfo, quality: TrainedQuality, kept: Option<ModelRef> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingText {
    pub tokens: u32,
    /// Whether the texts were longer than what is read.
    pub cut: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainStep {
    pub step: u32,
    pub steps: u32,
    /// The fraction of the batch's variance that is not reconstructed.
    pub unexplained: f32,
    /// Features that are active at once, on average over the batch.
    pub l0: f32,
    /// Features that were not active for long.
    pub dead: u32,
    pub features: u32,
    pub on_gpu: bool,
    /// Spent on steps so far.
    pub seconds: f32,
}

/// How good the SAE is, on stretches of the texts that it was not trained on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainedQuality {
    pub training_tokens: u32,
    pub held_out_tokens: u32,
    pub steps: u32,
    pub features: u32,
    /// The share of the variance that it explains.
    pub explained: f32,
    pub l0: f32,
    /// Features that are never active on what was held back.
    pub dead: u32,
    /// Those that are active nowhere in the texts.
    pub dead_everywhere: u32,
    /// The share that as many principal components of the training activations explain.
    pub by_components: f32,
    /// The share that the same SAE explains with random directions in the place of its own.
    pub by_random: f32,
}
