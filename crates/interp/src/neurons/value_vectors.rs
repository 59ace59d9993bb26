//! Value vectors, read through the final norm and the unembedding.

use crate::InterpError;
use crate::lens::largest;
use crate::products::norm;
use serde::Serialize;
use tiller_engine::{Controls, Engine, EngineError};

/// A word counts as matched where it is among this many tokens that a neuron raises (or lowers) most.
pub const MATCHED_AMONG: usize = 100;

/// What every neuron of a block's MLP writes.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueVectors {
    pub layer: u32,
    width: usize,
    /// `[d_mlp, d_model]`.
    rows: Vec<f32>,
}

/// A token, and how far a value vector raises its logit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WrittenToken {
    pub token: u32,
    pub logit: f32,
}

/// A value vector in the vocabulary's terms.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NeuronWrites {
    pub neuron: u32,
    /// L2 norm of the value vector.
    pub norm: f32,
    /// What a positive activation raises most, descending.
    pub raises: Vec<WrittenToken>,
    /// What a positive activation lowers most, and a negative one raises: the lowest first.
    pub lowers: Vec<WrittenToken>,
    /// How it fits the words that were asked for; `None` where there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<WordMatch>,
}

/// How a value vector fits some words.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WordMatch {
    /// How many of them are among the [`MATCHED_AMONG`] tokens that the neuron raises, or lowers, most.
    pub among: u32,
    /// The mean of their logits, in standard deviations over the vocabulary from its mean. Negative: a negative activation
    /// raises them.
    pub z: f32,
}

impl ValueVectors {
    /// Those of block `layer`. Errors as [`Engine::value_vectors`], and when one is not finite.
    pub async fn read(
        engine: &mut Engine,
        layer: u32,
        controls: &impl Controls,
        progress: impl FnMut(u64, u64),
    ) -> Result<ValueVectors, InterpError> {
        let rows = engine.value_vectors(layer, controls, progress).await?;
        let width = engine.config().width as usize;
        match rows.iter().all(|x| x.is_finite()) {
            true => Ok(ValueVectors { layer, width, rows }),
            false => Err(InterpError::NotFinite { site: tiller_engine::Site::MlpOut(layer) }),
        }
    }

    /// Neurons of the block.
    pub fn len(&self) -> u32 {
        (self.rows.len() / self.width) as u32
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What neuron `neuron` writes for each unit of its activation, `[d_model]`.
    pub fn vector(&self, neuron: u32) -> &[f32] {
        &self.rows[neuron as usize * self.width..(neuron as usize + 1) * self.width]
    }

    /// L2 norm of a neuron's value vector.
    pub fn norm(&self, neuron: u32) -> f64 {
        norm(self.vector(neuron))
    }

    pub(super) fn check(&self, neurons: &[u32]) -> Result<(), InterpError> {
        match neurons.iter().find(|&&neuron| neuron >= self.len()) {
            Some(&neuron) => Err(InterpError::NoNeuron { layer: self.layer, neuron, last: self.len() - 1 }),
            None => Ok(()),
        }
    }

    /// The logits that a residual stream would give which held one neuron's value vector alone, at a root mean square of
    /// one (the final norm divides by it anyway), less those of an empty stream (the final norm's bias, where it has one).
    /// So what a negative activation writes is the same with its sign turned. The `top` tokens at either end are named,
    /// and `words` are looked up, as token ids.
    ///
    /// `progress` is told the neurons done and in all. Errors when there is no such neuron, a word is not in the vocabulary,
    /// a logit is not finite, or the work was cancelled.
    pub async fn written(
        &self,
        engine: &mut Engine,
        neurons: &[u32],
        top: usize,
        words: &[u32],
        controls: &impl Controls,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Vec<NeuronWrites>, InterpError> {
        self.check(neurons)?;
        if let Some(&token) = words.iter().find(|&&token| token >= engine.config().vocab) {
            return Err(EngineError::UnknownToken(token).into());
        }
        let vectors: Vec<Vec<f32>> = neurons.iter().map(|&neuron| self.vector(neuron).to_vec()).collect();
        let mut found = Vec::with_capacity(neurons.len());
        logits_of(engine, &vectors, controls, &mut progress, |place, logits| {
            let neuron = neurons[place];
            let named = |place: u32, sign: f32| WrittenToken { token: place, logit: sign * logits[place as usize] };
            let negated: Vec<f32> = logits.iter().map(|x| -x).collect();
            found.push(NeuronWrites {
                neuron,
                norm: self.norm(neuron) as f32,
                raises: largest(logits, top).into_iter().map(|place| named(place, 1.0)).collect(),
                lowers: largest(&negated, top).into_iter().map(|place| named(place, 1.0)).collect(),
                words: (!words.is_empty()).then(|| matched(logits, words)),
            });
        })
        .await?;
        Ok(found)
    }
}

/// Hands `sink` each vector's number and logits `[vocabulary]`, as [`ValueVectors::written`] has them. Vectors are as wide as
/// the residual stream.
pub(crate) async fn logits_of(
    engine: &mut Engine,
    vectors: &[Vec<f32>],
    controls: &impl Controls,
    progress: &mut impl FnMut(u64, u64),
    mut sink: impl FnMut(usize, &[f32]),
) -> Result<(), InterpError> {
    let width = engine.config().width as usize;
    let unit = |x: &Vec<f32>| {
        let scale = (width as f64).sqrt() / norm(x).max(f64::from(f32::MIN_POSITIVE));
        x.iter().map(|&x| (f64::from(x) * scale) as f32).collect::<Vec<f32>>()
    };
    let streams: Vec<f32> = std::iter::repeat_n(0.0, width).chain(vectors.iter().flat_map(unit)).collect();
    let mut empty: Vec<f32> = Vec::new();
    let mut finite = true;
    let report = |done: u64, total: u64| progress(done.saturating_sub(1), total - 1);
    engine
        .unembed(&streams, controls, report, |row, logits| {
            finite &= logits.iter().all(|logit| logit.is_finite());
            match row {
                0 => empty = logits.to_vec(),
                _ => sink(row - 1, &logits.iter().zip(&empty).map(|(x, none)| x - none).collect::<Vec<f32>>()),
            }
        })
        .await?;
    if finite { Ok(()) } else { Err(InterpError::NotFinite { site: tiller_engine::Site::Logits }) }
}

fn matched(logits: &[f32], words: &[u32]) -> WordMatch {
    let n = logits.len() as f64;
    let mean = logits.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let deviation = (logits.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n).sqrt();
    let of_words: f64 = words.iter().map(|&word| f64::from(logits[word as usize])).sum::<f64>() / words.len() as f64;
    let z = if deviation > 0.0 { (of_words - mean) / deviation } else { 0.0 };
    let is_before = |x: f32, own: f32| if z < 0.0 { x < own } else { x > own };
    let among = |&&word: &&u32| {
        let own = logits[word as usize];
        logits.iter().filter(|&&x| is_before(x, own)).count() < MATCHED_AMONG
    };
    WordMatch { among: words.iter().filter(among).count() as u32, z: z as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_matched_at_the_end_where_they_are() {
        let logits: Vec<f32> = (0..1000).map(|n| n as f32).collect();
        let high = matched(&logits, &[999, 950, 100]);
        assert!(high.z > 0.0 && high.among == 2, "{high:?}");
        let low = matched(&logits, &[0, 99, 100]);
        assert!(low.z < 0.0 && low.among == 2, "{low:?}");
        // (0 - 499.5) / sqrt((1000^2 - 1) / 12).
        assert!((matched(&logits, &[0]).z + 1.7303).abs() < 1e-3);
        assert_eq!(matched(&[3.0; 8], &[1]).z, 0.0);
    }
}
