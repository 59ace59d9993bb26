//! Sparse autoencoders in the pass: which one, what is read by it, and what is made of its features.

use crate::EngineError;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use tiller_formats::Quant;
use tiller_model::is_over_keys;
use tiller_sae::{Activation, Sae};
use tiller_sites::Site;

/// Features that one edit may list.
pub const MOST_FEATURES: usize = tiller_kernels::MOST_CHANGES;

/// Features of a token that may come back with it.
pub const MOST_STRONGEST: u32 = tiller_kernels::MOST_STRONGEST;

/// A sparse autoencoder as the pass runs it: of any architecture but matching pursuit, and no transcoder.
///
/// Two are the same where they share the SAE's memory. Whoever runs an SAE again and again passes the same `Arc`, so that
/// its weights are copied to the device once and plans are kept.
#[derive(Clone, Debug)]
pub struct Dictionary {
    pub sae: Arc<Sae>,
    /// Whether the mean over its numbers is taken off each activation before the SAE sees it.
    pub centred: bool,
    pub weights: EncoderWeights,
}

/// In what the encoder's rows are multiplied. Activations, biases and directions are f32 in any case, and the few rows
/// that an edit or a condition needs of an SAE whose features are each on their own are too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncoderWeights {
    #[default]
    F32,
    /// Eight bits a weight (Q8_0) where the width is a multiple of 32, else f32: a quarter of the bytes. It moves the
    /// features of an activation by some thousandths of their length.
    EightBit,
}

/// What becomes of a feature's value f.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FeatureChange {
    /// This value.
    Set(f32),
    /// `f + value`, wherever the feature is active or not.
    Add(f32),
    /// `factor * f`: 0 ablates the feature.
    Scale(f32),
    /// f, but no less than `low` and no more than `high`; infinite bounds bound on one side.
    Clamp { low: f32, high: f32 },
}

/// The strongest features of each token's activation at a site, as the rest of the pass sees it (after edits there).
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureReading {
    pub site: Site,
    pub sae: Dictionary,
    /// At most [`MOST_STRONGEST`].
    pub most: u32,
}

impl PartialEq for Dictionary {
    fn eq(&self, other: &Dictionary) -> bool {
        // Parts of an SAE are made anew each time; they are small.
        let alike = || self.sae.d_sae <= MOST_FEATURES && self.sae == other.sae;
        self.centred == other.centred
            && self.weights == other.weights
            && (Arc::ptr_eq(&self.sae, &other.sae) || alike())
    }
}

impl Dictionary {
    /// An SAE whose encoder is multiplied in f32.
    pub fn new(sae: Arc<Sae>, centred: bool) -> Dictionary {
        Dictionary { sae, centred, weights: EncoderWeights::F32 }
    }

    /// Checks that the pass can run it on activations of `width` numbers.
    pub(crate) fn check(&self, site: Site, width: usize) -> Result<(), EngineError> {
        let refuse = |what: String| Err(EngineError::Sae { site, what });
        if self.sae.transcoder.is_some() {
            return refuse(
                "it is a transcoder, which writes another activation than it reads: use an autoencoder".into(),
            );
        }
        if matches!(self.sae.activation, Activation::MatchingPursuit { .. }) {
            return refuse(
                "it is a matching pursuit, which looks for one feature after another: use one with another activation"
                    .into(),
            );
        }
        if matches!(site, Site::FinalScale | Site::FinalNorm | Site::Logits) {
            return refuse("that is not computed for every token: use a site within the blocks".into());
        }
        if is_over_keys(site) {
            return refuse("its width changes with the text: use another site".into());
        }
        self.sae.check().or_else(|error| refuse(error.to_string()))?;
        match self.sae.d_in == width {
            true => Ok(()),
            false => refuse(format!(
                "it reads {} numbers, and the activation there has {width}: use an SAE of this model and site",
                self.sae.d_in
            )),
        }
    }

    /// What finds these features, and their numbers in it: they alone where features are each on their own, else all.
    pub(crate) fn part(&self, site: Site, features: &[u32]) -> Result<(Dictionary, Vec<u32>), EngineError> {
        let last = self.sae.d_sae - 1;
        if let Some(feature) = features.iter().find(|&&feature| feature as usize > last) {
            let what = format!("there is no feature {feature}: features there are 0 to {last}");
            return Err(EngineError::Sae { site, what });
        }
        Ok(match self.sae.part(features) {
            Some(part) => {
                let part = Dictionary { sae: Arc::new(part), centred: self.centred, weights: EncoderWeights::F32 };
                (part, (0..features.len() as u32).collect())
            }
            None => (self.clone(), features.to_vec()),
        })
    }

    /// The format of the encoder's rows, and their bytes in it.
    pub(crate) fn rows(&self) -> (Quant, Vec<u8>) {
        match self.weights {
            EncoderWeights::EightBit if self.sae.d_in.is_multiple_of(BLOCK) => {
                (Quant::Q8_0, self.sae.w_enc.chunks_exact(BLOCK).flat_map(eight_bit).collect())
            }
            _ => (Quant::F32, bytemuck::cast_slice(&self.sae.w_enc).to_vec()),
        }
    }
}

impl FeatureChange {
    pub(crate) fn check(self) -> Result<(), String> {
        let finite = match self {
            FeatureChange::Set(value) | FeatureChange::Add(value) | FeatureChange::Scale(value) => value.is_finite(),
            FeatureChange::Clamp { low, high } => {
                if !(low <= high) {
                    return Err(format!("its lower bound {low} is not below its upper bound {high}"));
                }
                low != f32::INFINITY && high != f32::NEG_INFINITY
            }
        };
        if finite { Ok(()) } else { Err("its numbers are not all finite".into()) }
    }

    /// What it adds to the value `f`.
    pub(crate) fn difference(self, f: f32) -> f32 {
        match self {
            FeatureChange::Set(value) => value - f,
            FeatureChange::Add(value) => value,
            FeatureChange::Scale(factor) => factor * f - f,
            FeatureChange::Clamp { low, high } => f.max(low).min(high) - f,
        }
    }
}

impl FeatureReading {
    pub(crate) fn check(&self, width: usize) -> Result<(), EngineError> {
        if !(1..=MOST_STRONGEST).contains(&self.most) {
            let what = format!("{} features of a token are asked for, of at most {MOST_STRONGEST}", self.most);
            return Err(EngineError::Sae { site: self.site, what });
        }
        self.sae.check(self.site, width)
    }
}

/// The features of each row, from the numbers `[rows, most, 2]` that a pass hands out.
pub(crate) fn features_of_rows(numbers: &[f32], most: u32) -> impl Iterator<Item = Vec<(u32, f32)>> + '_ {
    numbers.chunks_exact(2 * most as usize).map(|row| {
        let pairs = row.chunks_exact(2).take_while(|pair| pair[1] > 0.0);
        pairs.map(|pair| (pair[0] as u32, pair[1])).collect()
    })
}

/// Weights of a block of Q8_0: an f16 scale and as many bytes.
const BLOCK: usize = 32;

/// A block of Q8_0, as ggml rounds it: the largest number becomes 127.
fn eight_bit(weights: &[f32]) -> Vec<u8> {
    let largest = weights.iter().fold(0f32, |largest, w| largest.max(w.abs()));
    let scale = largest / 127.0;
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    let mut block = half::f16::from_f32(scale).to_le_bytes().to_vec();
    block.extend(weights.iter().map(|w| (w * inverse).round() as i8 as u8));
    block
}

/// What a backend makes of encoders, kept for as long as somebody else holds their SAE.
pub(crate) struct Encoders<T>(RefCell<Vec<(Weak<Sae>, bool, EncoderWeights, Rc<T>)>>);

impl<T> Default for Encoders<T> {
    fn default() -> Encoders<T> {
        Encoders(RefCell::default())
    }
}

impl<T> Encoders<T> {
    /// That of `dictionary`, made now if there is none yet.
    pub fn of(
        &self,
        dictionary: &Dictionary,
        make: impl FnOnce() -> Result<T, EngineError>,
    ) -> Result<Rc<T>, EngineError> {
        let mut kept = self.0.borrow_mut();
        kept.retain(|(sae, ..)| sae.strong_count() > 0);
        let of = Arc::downgrade(&dictionary.sae);
        let same = |(sae, centred, weights, _): &&(Weak<Sae>, bool, EncoderWeights, Rc<T>)| {
            sae.ptr_eq(&of) && *centred == dictionary.centred && *weights == dictionary.weights
        };
        if let Some((.., found)) = kept.iter().find(same) {
            return Ok(found.clone());
        }
        let made = Rc::new(make()?);
        kept.push((of, dictionary.centred, dictionary.weights, made.clone()));
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiller_formats::dequantise;

    #[test]
    fn eight_bits_are_a_two_hundred_and_fiftieth_of_the_largest_away_at_most() {
        let weights: Vec<f32> = (0..96).map(|i| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0).collect();
        let bytes: Vec<u8> = weights.chunks(BLOCK).flat_map(eight_bit).collect();
        let back = dequantise(Quant::Q8_0, &bytes, 96);
        assert!(weights.iter().zip(back).all(|(a, b)| (a - b).abs() < 1.0 / 250.0));
        assert_eq!(dequantise(Quant::Q8_0, &eight_bit(&[0.0; BLOCK]), BLOCK), vec![0.0; BLOCK]);
    }

    #[test]
    fn rows_of_pairs_end_at_the_first_that_is_empty() {
        let found: Vec<_> = features_of_rows(&[3.0, 2.0, 9.0, 1.0, 7.0, 4.0, 0.0, 0.0], 2).collect();
        assert_eq!(found, [vec![(3, 2.0), (9, 1.0)], vec![(7, 4.0)]]);
    }
}
