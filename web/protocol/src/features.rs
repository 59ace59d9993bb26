//! The features of a sparse autoencoder.

use crate::{Estimate, LayerDirection};
use serde::{Deserialize, Serialize};
use tiller_recipe::{HubSae, Unsaid};

/// Where an SAE comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SaeSource {
    /// It comes with the page, under this name.
    Shipped(String),
    /// From the hub; what is not in the browser yet is fetched only if `download` says so.
    Hub { sae: HubSae, download: bool },
    /// The user's own files.
    Files { name: String, files: Vec<SaeFileBytes>, unsaid: Unsaid },
    /// The user's own files that were opened last, by this `mapping.json`.
    Mapped { mapping: String },
}

/// One file of an SAE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SaeFileBytes {
    pub name: String,
    // As one block of memory: number by number, megabytes would take seconds.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// An SAE that is loaded and fits the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SaeInfo {
    pub name: String,
    /// How many features it has.
    pub features: u32,
    /// What it reads, under TransformerLens's name.
    pub site: String,
    /// How activations become features ("topk").
    pub architecture: String,
    /// What its files leave unsaid, or say otherwise than the model is.
    pub notes: Vec<String>,
    /// Of the features that have one.
    pub labels: Vec<(u32, FeatureLabel)>,
    /// Where its features have pages on Neuronpedia ("gpt2-small/8-res-jb"), as its files say.
    pub neuronpedia: Option<String>,
    /// How good it is; `None` where its files do not say.
    pub quality: Option<SaeQuality>,
}

/// How good an SAE is, on text that it was not trained on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SaeQuality {
    /// The share of the activations' variance that it explains.
    pub explained_variance: f32,
    /// Features that are active at once, on average.
    pub l0: f32,
    /// Features that are never active.
    pub dead: u32,
    /// What the model loses with the reconstruction in the activation's place, nats a token, and its 95 % interval.
    pub loss: f32,
    pub loss_interval: (f32, f32),
    /// The share of what zeros in its place cost that the reconstruction recovers.
    pub recovered: f32,
    /// The same by as many principal components, and by random directions.
    pub recovered_by_components: f32,
    pub recovered_by_random: f32,
}

/// What a feature seems to stand for, and how well that holds on text that the label was not made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureLabel {
    pub text: String,
    /// Of the tokens on which the feature is active, the share that the label names.
    pub precision: f32,
    /// Of the tokens that the label names, the share on which the feature is active.
    pub recall: f32,
}

/// What an SAE finds in a text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FeatureText {
    pub tokens: Vec<TokenFeatures>,
    /// Those that tell most anywhere after the first token, descending.
    pub features: Vec<FeatureInText>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenFeatures {
    pub text: String,
    /// Features that are not 0.
    pub active: u32,
    /// Those that tell most, descending: by their value, times how rarely they are active where that is known.
    pub top: Vec<(u32, f32)>,
    /// Length of what the SAE leaves out, over the length of the activation.
    pub error: f32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureInText {
    pub feature: u32,
    /// Its largest value after the first token, and the position of that.
    pub max: f32,
    pub at: u32,
    /// By position.
    pub values: Vec<f32>,
}

/// The features in which two texts differ.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FeatureContrast {
    /// By the size of the difference of their means, descending.
    pub features: Vec<ContrastedFeature>,
    /// The largest difference of any feature when the tokens are dealt to the two texts at random.
    pub shuffled: f32,
}

/// A feature's mean over the tokens of each text, but for their first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContrastedFeature {
    pub feature: u32,
    pub here: f32,
    pub there: f32,
}

/// A feature by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureCard {
    pub feature: u32,
    /// The tokens whose logits it raises most, descending, for each unit of it, before the final norm's scale.
    pub positive: Vec<(String, f32)>,
    /// Those that it lowers most, ascending.
    pub negative: Vec<(String, f32)>,
    /// The largest and the smallest logit of random directions of equal length.
    pub random: (f32, f32),
    /// The features whose directions are most alike, by cosine.
    pub near: Vec<(u32, f32)>,
    /// What is known of it from a corpus; `None` where the SAE came without.
    pub seen: Option<FeatureSeen>,
    /// Where it can steer: the residual stream after a block.
    pub direction: Option<LayerDirection>,
}

/// What the model loses without a feature, in the texts in which it is most active.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureLoss {
    pub feature: u32,
    pub passages: u32,
    /// At which it was active.
    pub tokens: u32,
    /// By how much the loss of the next token rises there, nats; `None` where it is active nowhere.
    pub increase: Option<Estimate>,
    /// Its mean where as much is taken away there along the direction of another feature, drawn at random.
    pub random: Vec<f64>,
}

/// A feature on a corpus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureSeen {
    /// The share of tokens on which it is active.
    pub density: f32,
    /// Its largest value.
    pub largest: f32,
    /// How many of the tokens on which it is active lie in each part of the way from 0 to the largest value; empty where
    /// that was not counted.
    pub histogram: Vec<u32>,
    /// Features that are active on the same tokens, with the Jaccard index of the two sets of tokens; descending.
    pub together: Vec<(u32, f32)>,
    /// Where it is most active.
    pub passages: Vec<Passage>,
}

/// Some tokens of a corpus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    pub tokens: Vec<String>,
    /// The feature's value at each.
    pub values: Vec<f32>,
}
