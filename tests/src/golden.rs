//! The reference numbers of `tests/golden/smollm2.json`; the README beside it says where they are from.

use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub struct Golden {
    pub greedy: Vec<Greedy>,
    pub steered: Steered,
    pub perplexity: Perplexity,
    pub residuals: Residuals,
    pub chat: Vec<Chat>,
}

#[derive(Deserialize)]
pub struct Greedy {
    pub name: String,
    pub text: String,
    /// Whether special tokens in the text are recognised.
    pub parse_special: bool,
    pub prompt_ids: Vec<u32>,
    pub ids: Vec<u32>,
    /// Best logit less the second best, at each step.
    pub margins: Vec<f32>,
}

#[derive(Deserialize)]
pub struct Steered {
    pub prompt_ids: Vec<u32>,
    pub ids: Vec<u32>,
    pub plain_ids: Vec<u32>,
    pub read_at_last_prompt_token: SteeredReading,
}

#[derive(Deserialize)]
pub struct SteeredReading {
    pub steered: Excerpt,
    pub plain: Excerpt,
}

#[derive(Deserialize)]
pub struct Perplexity {
    pub ids: Vec<u32>,
    pub mean_nll: f64,
}

#[derive(Deserialize)]
pub struct Residuals {
    pub indices: Indices,
    pub captures: Vec<Capture>,
}

#[derive(Deserialize)]
pub struct Indices {
    pub first: Vec<usize>,
    pub strided: Vec<usize>,
    pub logits_strided: Vec<usize>,
}

#[derive(Deserialize)]
pub struct Capture {
    pub prompt: String,
    pub ids: Vec<u32>,
    pub position: u32,
    pub sites: BTreeMap<String, Excerpt>,
}

/// A vector's length and some of its elements.
#[derive(Deserialize)]
pub struct Excerpt {
    pub norm: f64,
    pub first: Vec<f32>,
    pub strided: Vec<f32>,
}

#[derive(Deserialize)]
pub struct Chat {
    pub name: String,
    pub messages: Vec<ChatMessage>,
    pub ids: Vec<u32>,
}

#[derive(Deserialize)]
pub struct ChatMessage {
    pub role: String,
    pub content: String,
}

pub fn smollm2() -> Golden {
    serde_json::from_str(include_str!("../golden/smollm2.json")).expect("the golden file is what the script writes")
}
