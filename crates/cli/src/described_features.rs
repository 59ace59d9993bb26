//! What is known of an SAE's features from a corpus: the file that `tiller sae describe` writes.

use anyhow::{Context, anyhow};
use serde::{Deserialize, Serialize};
use std::path::Path;
use tiller_experiment::Session;
use tiller_interp::sae::label_tokens;

/// Of the file, what is needed to steer by it.
#[derive(Deserialize)]
pub struct DescribedFeatures {
    /// By number.
    pub features: Vec<Described>,
}

#[derive(Deserialize)]
pub struct Described {
    /// The largest value on the corpus.
    pub max: f32,
    #[serde(default)]
    pub label: Option<DescribedLabel>,
}

/// A label by rule, with what it is worth on texts that it was not made from.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DescribedLabel {
    pub text: String,
    pub f1: f64,
    pub precision: f64,
    pub recall: f64,
}

impl DescribedFeatures {
    pub fn read(path: &Path) -> anyhow::Result<DescribedFeatures> {
        let shown = path.display();
        let bytes = std::fs::read(path)
            .map_err(|error| anyhow!("{shown} could not be read ({error}): write it with tiller sae describe"))?;
        serde_json::from_slice(&bytes).with_context(|| format!("{shown} is no description of an SAE's features"))
    }

    /// The feature's label, with the tokens that it speaks of; `Err` says why there is none to be judged by.
    pub fn words(&self, feature: u32, session: &Session) -> Result<(&Described, &DescribedLabel, Vec<u32>), String> {
        let Some(described) = self.features.get(feature as usize) else {
            return Err("there is no such feature".into());
        };
        let label = described.label.as_ref().ok_or("it has no label")?;
        let tokenizer = &session.tokenizer;
        let vocabulary = (0..session.engine.config().vocab).map(|token| tokenizer.token_text(token));
        match label_tokens(&label.text, vocabulary) {
            Some(words) => Ok((described, label, words)),
            None => Err(format!("its label, {}, is not about tokens of its own", label.text)),
        }
    }
}
