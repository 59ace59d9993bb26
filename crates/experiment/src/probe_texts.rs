//! Labelled texts, as a probe takes them.

use crate::{PromptError, Session};
use std::collections::BTreeMap;
use tiller_interp::probe::{ClassExamples, Examples, Read};
use tiller_recipe::{DatasetError, LabelledText, Prompt, ReadAt, classes};

/// Labelled texts in a model's tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeTexts {
    pub tokens: Vec<Vec<u32>>,
    /// Whether a text has the first of the classes.
    pub labels: Vec<bool>,
    /// By number, in the order in which they occur.
    pub groups: Option<Vec<u32>>,
    /// The label that counts as positive, and the other.
    pub classes: [String; 2],
}

/// Texts of several classes in a model's tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassTexts {
    pub tokens: Vec<Vec<u32>>,
    /// By text, the place of its label among the names.
    pub labels: Vec<usize>,
    /// As in [`ProbeTexts`].
    pub groups: Option<Vec<u32>>,
    /// In the order in which they occur.
    pub names: Vec<String>,
}

/// Why a dataset cannot be used with this model.
#[derive(Debug, thiserror::Error)]
pub enum ProbeTextsError {
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error(transparent)]
    Prompt(#[from] PromptError),
    #[error("text {0} of the dataset is empty: fill it in, or remove it")]
    Empty(usize),
}

impl Session {
    /// The texts raw, as the model's own tokenizer begins a text. Errors where there are not two labels, or a text is
    /// empty.
    pub fn probe_texts(&self, rows: &[LabelledText]) -> Result<ProbeTexts, ProbeTextsError> {
        let classes = classes(rows)?;
        let (tokens, groups) = self.labelled_tokens(rows)?;
        let labels = rows.iter().map(|row| row.label == classes[0]).collect();
        Ok(ProbeTexts { tokens, labels, groups, classes })
    }

    /// The same of texts with two labels or more. Errors where there is only one.
    pub fn class_texts(&self, rows: &[LabelledText]) -> Result<ClassTexts, ProbeTextsError> {
        let mut names: Vec<String> = Vec::new();
        let mut labels = Vec::with_capacity(rows.len());
        for row in rows {
            let known = names.iter().position(|name| *name == row.label);
            labels.push(known.unwrap_or(names.len()));
            if known.is_none() {
                names.push(row.label.clone());
            }
        }
        if names.len() < 2 {
            classes(rows)?;
        }
        let (tokens, groups) = self.labelled_tokens(rows)?;
        Ok(ClassTexts { tokens, labels, groups, names })
    }

    fn labelled_tokens(&self, rows: &[LabelledText]) -> Result<(Vec<Vec<u32>>, Option<Vec<u32>>), ProbeTextsError> {
        let mut tokens = Vec::with_capacity(rows.len());
        for (n, row) in rows.iter().enumerate() {
            if row.text.is_empty() {
                return Err(ProbeTextsError::Empty(n + 1));
            }
            tokens.push(self.tokens(&Prompt::Text(row.text.clone()))?);
        }
        let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
        let groups: Option<Vec<u32>> = rows
            .iter()
            .map(|row| {
                let next = numbers.len() as u32;
                row.group.as_deref().map(|group| *numbers.entry(group).or_insert(next))
            })
            .collect();
        Ok((tokens, groups))
    }
}

impl ClassTexts {
    pub fn examples(&self) -> ClassExamples<'_> {
        let groups = self.groups.as_deref();
        ClassExamples { tokens: &self.tokens, labels: &self.labels, classes: self.names.len(), groups }
    }
}

impl ProbeTexts {
    pub fn examples(&self) -> Examples<'_> {
        Examples { tokens: &self.tokens, labels: &self.labels, groups: self.groups.as_deref() }
    }
}

/// Where an activation is read, as a recipe says it.
pub fn read_at(at: ReadAt) -> Read {
    match at {
        ReadAt::Last => Read::Last,
        ReadAt::Mean => Read::Mean,
    }
}
