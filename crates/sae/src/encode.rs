//! Activations to features.

use crate::products::products;
use crate::{Activation, Normalisation, Sae};

/// The features of one activation that are not 0, by their numbers, ascending.
pub type Features = Vec<(u32, f32)>;

/// Activations that are encoded at once: their pre-activations are in memory together.
const ROWS: usize = 64;

impl Sae {
    /// The features of an activation, `[d_in]`. The SAE has been [checked](Sae::check); where `x` is not finite, neither
    /// need the features be.
    pub fn encode(&self, x: &[f32]) -> Features {
        self.encode_rows(x).pop().expect("one row, one list")
    }

    /// The features of each of many activations, `[n, d_in]`: each the same as alone.
    pub fn encode_rows(&self, x: &[f32]) -> Vec<Features> {
        assert!(x.len().is_multiple_of(self.d_in), "whole rows");
        let mut features = Vec::with_capacity(x.len() / self.d_in);
        for x in x.chunks(ROWS * self.d_in) {
            let prepared = self.prepare(x);
            match self.activation {
                Activation::MatchingPursuit { .. } => {
                    features.extend(prepared.chunks_exact(self.d_in).map(|x| self.pursue(x)));
                }
                _ => {
                    let mut hidden = products(&prepared, &self.w_enc, self.d_in);
                    for hidden in hidden.chunks_exact_mut(self.d_sae) {
                        hidden.iter_mut().zip(&self.b_enc).for_each(|(h, b)| *h += b);
                        features.push(self.activate(hidden));
                    }
                }
            }
        }
        features
    }

    /// What a feature's row reads of activations `[n, d_in]`: normalised, the bias taken off. `[n, d_in]`.
    pub fn prepare(&self, x: &[f32]) -> Vec<f32> {
        let mut prepared = x.to_vec();
        for x in prepared.chunks_exact_mut(self.d_in) {
            if self.normalisation != Normalisation::None {
                let scale = self.normalisation.scale(x);
                x.iter_mut().for_each(|x| *x = scale.normalise(*x));
            }
            if self.apply_b_dec_to_input {
                x.iter_mut().zip(&self.b_dec).for_each(|(x, b)| *x -= b);
            }
        }
        prepared
    }

    /// The features of pre-activations `[d_sae]`, the encoder's bias among them. Matching pursuit has none: it panics.
    pub fn activate(&self, hidden: &[f32]) -> Features {
        let numbered = || hidden.iter().zip(0u32..);
        match &self.activation {
            Activation::Relu => numbered().filter(|&(&h, _)| h > 0.0).map(|(&h, i)| (i, h)).collect(),
            Activation::TopK { k } => largest(hidden, *k),
            Activation::JumpRelu { threshold } => {
                let active = numbered().zip(threshold).filter(|&((&h, _), &threshold)| h > threshold && h > 0.0);
                active.map(|((&h, i), _)| (i, h)).collect()
            }
            Activation::Gated { r_mag, b_mag } => {
                let magnitude = |(&h, i): (&f32, u32)| {
                    let n = i as usize;
                    let magnitude = (h - self.b_enc[n]) * r_mag[n].exp() + b_mag[n];
                    (h > 0.0 && magnitude > 0.0).then_some((i, magnitude))
                };
                numbered().filter_map(magnitude).collect()
            }
            Activation::MatchingPursuit { .. } => unreachable!("it has no pre-activations"),
        }
    }
}

/// The `k` largest numbers, of those above 0; of equal ones the first.
fn largest(hidden: &[f32], k: usize) -> Features {
    let mut found: Features = hidden.iter().zip(0..).filter(|&(&h, _)| h > 0.0).map(|(&h, i)| (i, h)).collect();
    if found.len() > k {
        found.select_nth_unstable_by(k, |a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(k);
        found.sort_unstable_by_key(|&(i, _)| i);
    }
    found
}
