//! What the lens shows.

use crate::{Alternative, PromptToken};
use serde::{Deserialize, Serialize};

/// What is read, before any layer of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LensText {
    /// The whole text.
    pub tokens: Vec<PromptToken>,
    /// The first position that is shown; the last is the text's.
    pub first: u32,
    pub blocks: u32,
    pub followed: Vec<Followed>,
}

/// A token that is to be followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Followed {
    pub text: String,
    /// The tokens that it is made of. Only one alone can be followed.
    pub tokens: Vec<String>,
}

/// What the residual stream says at one place in the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LensLayer {
    /// The block after which it was read; `None` before the first.
    pub block: Option<u32>,
    /// By position, from [`LensText::first`].
    pub cells: Vec<LensCell>,
}

/// The next token, as the residual stream of one token has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LensCell {
    /// The most probable tokens, descending.
    pub top: Vec<Alternative>,
    /// Of the whole distribution, in nats.
    pub entropy: f32,
    /// The token that the model itself finds most probable here.
    pub output: Ranked,
    /// The token that comes next in the text; `None` at its end.
    pub next: Option<Ranked>,
    /// For each of [`LensText::followed`]; `None` where that is not one token.
    pub followed: Vec<Option<Ranked>>,
}

/// A token, and where it stands among all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    pub text: String,
    pub log_prob: f32,
    /// 1 for the most probable.
    pub rank: u32,
}

/// A tuned lens that was trained here, judged on text that it was not trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LensTuning {
    /// Tokens.
    pub trained_on: u32,
    pub held_out: u32,
    /// The last first; the last block's output, where the model itself speaks, is not among them.
    pub places: Vec<TunedPlace>,
}

/// Mean divergences from the model's own prediction, in nats, at one place in the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TunedPlace {
    /// As in [`LensLayer`].
    pub block: Option<u32>,
    /// Of the logit lens.
    pub plain: f32,
    pub tuned: f32,
    /// Of the tuned lens with its numbers at other places of the activation.
    pub permuted: f32,
}
