//! What one activation contributes to the loss and to the gradients of the features that took part.

use super::Method;
use super::feature::{Feature, add};
use super::select::Candidate;
use super::tiles::dot;

/// A feature's part in the reconstruction of one activation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub feature: u32,
    /// Of the batch.
    pub row: u32,
    /// In place of the others: it reconstructs what they leave.
    pub auxiliary: bool,
    pub active: bool,
    pub value: f32,
    /// The gradients by the pre-activation and by the threshold's logarithm.
    pub by_hidden: f32,
    pub by_ln_threshold: f32,
}

/// One activation's.
pub(super) struct Backward {
    pub entries: Vec<Entry>,
    /// The gradient by the reconstruction, `[d_in]`.
    pub error: Vec<f32>,
    /// The gradient by the dead features' reconstruction, `[d_in]`; empty where there is none.
    pub auxiliary: Vec<f32>,
    /// The error's squared length.
    pub squared_error: f32,
}

/// What is the same for all activations of a batch.
#[derive(Clone, Copy)]
pub(super) struct Loss<'a> {
    pub method: Method,
    pub features: &'a [Feature],
    /// One over the batch's activations: losses are means.
    pub share: f32,
    /// Of the penalty, while training warms up.
    pub penalty: f32,
    pub auxiliary_weight: f32,
}

impl Loss<'_> {
    /// `input`: an activation less the decoder's bias.
    pub fn backward(&self, row: u32, input: &[f32], active: &[Candidate], dead: &[Candidate]) -> Backward {
        let direction = |candidate: &Candidate| &self.features[candidate.feature as usize].decoder.values;
        let mut rest: Vec<f32> = input.iter().map(|x| -x).collect();
        for candidate in active.iter().filter(|candidate| candidate.active) {
            add(&mut rest, candidate.hidden, direction(candidate));
        }
        let squared_error = dot(&rest, &rest);

        let mut entries = Vec::with_capacity(active.len() + dead.len());
        let mut auxiliary = Vec::new();
        if !dead.is_empty() {
            // The rest is the reconstruction less the activation: what is to be reconstructed is its opposite.
            auxiliary = rest.clone();
            for candidate in dead {
                add(&mut auxiliary, candidate.hidden, direction(candidate));
            }
            let factor = 2.0 * self.share * self.auxiliary_weight;
            auxiliary.iter_mut().for_each(|x| *x *= factor);
            entries.extend(dead.iter().map(|candidate| Entry {
                feature: candidate.feature,
                row,
                auxiliary: true,
                active: false,
                value: candidate.hidden,
                by_hidden: dot(&auxiliary, direction(candidate)),
                by_ln_threshold: 0.0,
            }));
        }

        let mut error = rest;
        error.iter_mut().for_each(|x| *x *= 2.0 * self.share);
        for candidate in active {
            let along = dot(&error, direction(candidate));
            let (by_hidden, by_ln_threshold) = match self.method {
                // Matching pursuit has gradients of its own.
                Method::TopK { .. } | Method::BatchTopK { .. } | Method::MatchingPursuit { .. } => (along, 0.0),
                Method::Standard { sparsity } => (along + sparsity * self.penalty * self.share, 0.0),
                Method::JumpRelu { sparsity, bandwidth } => {
                    // Pseudo-derivatives of the step at the threshold, Rajamanoharan et al. 2024b, equations 11 and 12.
                    let threshold = self.features[candidate.feature as usize].threshold();
                    let near = (candidate.hidden - threshold).abs() < bandwidth / 2.0;
                    let cost = threshold * along + sparsity * self.penalty * self.share;
                    let by_threshold = if near { -cost / bandwidth } else { 0.0 };
                    (if candidate.active { along } else { 0.0 }, by_threshold * threshold)
                }
            };
            let value = if candidate.active { candidate.hidden } else { 0.0 };
            let (feature, active) = (candidate.feature, candidate.active);
            entries.push(Entry { feature, row, auxiliary: false, active, value, by_hidden, by_ln_threshold });
        }
        Backward { entries, error, auxiliary, squared_error }
    }
}

/// Entries by feature: those of feature `i` lie at `starts[i]..starts[i + 1]`.
pub(super) fn by_feature<'a>(
    entries: impl Iterator<Item = &'a Entry> + Clone,
    features: usize,
) -> (Vec<Entry>, Vec<usize>) {
    let entries = || entries.clone();
    let mut starts = vec![0; features + 1];
    entries().for_each(|entry| starts[entry.feature as usize + 1] += 1);
    (0..features).for_each(|i| starts[i + 1] += starts[i]);
    let mut next = starts.clone();
    let Some(&first) = entries().next() else { return (Vec::new(), starts) };
    let mut sorted = vec![first; starts[features]];
    for &entry in entries() {
        let place = &mut next[entry.feature as usize];
        sorted[*place] = entry;
        *place += 1;
    }
    (sorted, starts)
}
