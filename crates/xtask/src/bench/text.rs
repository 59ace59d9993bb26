//! What every engine is given to continue, and how the model goes on when its arithmetic is right.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::fs;
use std::path::Path;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Text {
    pub prompt: String,
    /// The beginning of the greedy continuation, computed in f32.
    pub continuation: String,
}

impl Text {
    pub fn read(path: &Path) -> Result<Self> {
        let written = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&written).with_context(|| format!("{} is not as it should be", path.display()))
    }

    /// Whether `text` and the continuation agree as far as both go.
    pub fn is_continued_by(&self, text: &str) -> bool {
        !text.is_empty() && (text.starts_with(&self.continuation) || self.continuation.starts_with(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_was_cut_short_is_right_and_another_is_not() {
        let text = Text { prompt: "It".into(), continuation: " was a joke".into() };
        assert!(["", " is", " was not", "was a joke"].iter().all(|written| !text.is_continued_by(written)));
        assert!([" was", " was a joke", " was a joke, but"].iter().all(|written| text.is_continued_by(written)));
    }
}
