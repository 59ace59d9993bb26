//! The reference numbers in `tests/golden/optional`, of models that are fetched only when their tests are asked for.

use crate::golden::{Excerpt, Greedy, Indices};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub struct Golden {
    pub tokenizer: Vec<Encoded>,
    pub greedy: Vec<Greedy>,
    pub residuals: Residuals,
}

/// A text's ids, special tokens being plain text, and being recognised.
#[derive(Deserialize)]
pub struct Encoded {
    pub text: String,
    pub ids: Vec<u32>,
    pub ids_parse_special: Vec<u32>,
}

#[derive(Deserialize)]
pub struct Residuals {
    pub indices: Indices,
    pub captures: Vec<Capture>,
}

/// What one token of a greedy prompt has at several sites.
#[derive(Deserialize)]
pub struct Capture {
    pub prompt: String,
    pub position: u32,
    pub sites: BTreeMap<String, Excerpt>,
}

impl Golden {
    pub fn of(json: &str) -> Golden {
        serde_json::from_str(json).expect("the golden file is what the script writes")
    }
}
