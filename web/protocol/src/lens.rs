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
