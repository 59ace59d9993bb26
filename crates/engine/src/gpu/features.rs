//! Encoders of sparse autoencoders, and changes of their features, on the device.

use crate::EngineError;
use crate::edit::FeatureChanges;
use crate::features::{Dictionary, FeatureChange};
use tiller_kernels::{Change, Encoder, FeatureActivation, Gpu, Normalised, Vector};
use tiller_sae::{Activation, Normalisation};

/// Copies an SAE's encoder to the device. The SAE was checked.
pub(super) fn encoder(gpu: &Gpu, dictionary: &Dictionary) -> Result<Encoder, EngineError> {
    let sae = &dictionary.sae;
    let (quant, rows) = dictionary.rows();
    Ok(Encoder {
        weights: Encoder::weights(gpu, quant, sae.d_in as u32, &rows)?,
        bias: Vector::new(gpu, &sae.b_enc)?,
        subtracted: if sae.apply_b_dec_to_input { Some(Vector::new(gpu, &sae.b_dec)?) } else { None },
        centred: dictionary.centred,
        normalised: match sae.normalisation {
            Normalisation::None => Normalised::Not,
            Normalisation::LayerNorm => Normalised::Layer,
            Normalisation::ConstantNorm => Normalised::ConstantNorm,
        },
        activation: match &sae.activation {
            Activation::Relu => FeatureActivation::Relu,
            Activation::TopK { k } => FeatureActivation::TopK { k: *k as u32 },
            Activation::JumpRelu { threshold } => {
                FeatureActivation::JumpRelu { threshold: Vector::new(gpu, threshold)? }
            }
            Activation::Gated { r_mag, b_mag } => {
                let factors: Vec<f32> = r_mag.iter().map(|r| r.exp()).collect();
                let magnitudes = [factors, sae.b_enc.clone(), b_mag.clone()].concat();
                FeatureActivation::Gated { magnitudes: Vector::new(gpu, &magnitudes)? }
            }
            Activation::MatchingPursuit { .. } => unreachable!("planning refuses it"),
        },
    })
}

pub(super) fn changes(gpu: &Gpu, what: &FeatureChanges) -> Result<tiller_kernels::FeatureChanges, EngineError> {
    // WGSL need not know infinities.
    let finite = |bound: f32| bound.clamp(f32::MIN, f32::MAX);
    let change = |&(feature, change): &(u32, FeatureChange)| {
        let change = match change {
            FeatureChange::Set(value) => Change::Set(value),
            FeatureChange::Add(value) => Change::Add(value),
            FeatureChange::Scale(factor) => Change::Scale(factor),
            FeatureChange::Clamp { low, high } => Change::Clamp { low: finite(low), high: finite(high) },
        };
        (feature, change)
    };
    let listed: Vec<(u32, Change)> = what.changes.iter().map(change).collect();
    Ok(tiller_kernels::FeatureChanges::new(gpu, &listed, &what.directions)?)
}
