//! Texts with labels, and their activations.

use serde::Serialize;

/// Texts, as token ids, with the label that a probe is to read off them.
#[derive(Clone, Copy, Debug)]
pub struct Examples<'a> {
    pub tokens: &'a [Vec<u32>],
    pub labels: &'a [bool],
    /// For each text the number of its group (such as the template it was made of). Texts of a group stay together:
    /// what is learnt on some must not be tested on its like.
    pub groups: Option<&'a [u32]>,
}

/// Where in a text an activation is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Read {
    /// At the last token.
    #[default]
    Last,
    /// The mean over all tokens.
    Mean,
}

/// One activation a text, at one site.
#[derive(Clone, Debug, PartialEq)]
pub struct Activations {
    width: usize,
    /// `[texts, width]`.
    values: Vec<f32>,
}

impl Activations {
    /// `values`: `[texts, width]`.
    pub fn new(width: usize, values: Vec<f32>) -> Activations {
        assert!(width > 0 && values.len().is_multiple_of(width));
        Activations { width, values }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// A text's activation, `[width]`.
    pub fn row(&self, text: usize) -> &[f32] {
        &self.values[text * self.width..(text + 1) * self.width]
    }

    pub(super) fn row_mut(&mut self, text: usize) -> &mut [f32] {
        &mut self.values[text * self.width..(text + 1) * self.width]
    }

    /// Mean L2 norm.
    pub fn typical_norm(&self) -> f64 {
        let norm = |row: &[f32]| row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        self.values.chunks_exact(self.width).map(norm).sum::<f64>() / self.len().max(1) as f64
    }
}
