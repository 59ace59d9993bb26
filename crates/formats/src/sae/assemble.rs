//! An SAE out of its tensors, under SAELens's names and in its layout.

use super::error::SaeFileError;
use super::tensors::{FileTensors, transposed};
use tiller_sae::{Activation, Normalisation, Sae, Transcoder};

/// What a configuration says of how an SAE computes.
#[derive(Clone, Debug)]
pub struct Kind {
    /// As the file calls it.
    pub name: &'static str,
    pub d_in: usize,
    pub d_sae: usize,
    /// Of a transcoder.
    pub d_out: Option<usize>,
    pub with_skip: bool,
    pub activation: KindOfActivation,
    pub apply_b_dec_to_input: bool,
    pub normalisation: Normalisation,
    /// What activations are multiplied by before anything else.
    pub input_scale: Option<f32>,
}

/// An activation without its weights.
#[derive(Clone, Copy, Debug)]
pub enum KindOfActivation {
    Relu,
    TopK { k: usize, rescale_by_decoder_norm: bool },
    JumpRelu,
    Gated,
    MatchingPursuit { residual_threshold: f32, max_iterations: usize, stop_on_duplicate_support: bool },
}

/// Takes what the kind needs: `W_enc` `[d_in, d_sae]`, `b_enc`, `W_dec` `[d_sae, d_out]`, `b_dec`, and what its activation
/// has besides. Shapes are compared before anything is made of them; a tensor too many is refused.
pub fn assemble(kind: &Kind, mut tensors: FileTensors) -> Result<Sae, SaeFileError> {
    let Kind { name, d_in, d_sae, .. } = *kind;
    let d_out = kind.d_out.unwrap_or(d_in);
    let w_dec = tensors.take("W_dec", &[d_sae, d_out], name)?;
    let b_dec = tensors.take("b_dec", &[d_out], name)?;
    let (w_enc, b_enc) = match kind.activation {
        KindOfActivation::MatchingPursuit { .. } => (Vec::new(), Vec::new()),
        activation => {
            let w_enc = transposed(&tensors.take("W_enc", &[d_in, d_sae], name)?, d_in, d_sae);
            let bias = if let KindOfActivation::Gated = activation { "b_gate" } else { "b_enc" };
            (w_enc, tensors.take(bias, &[d_sae], name)?)
        }
    };
    let activation = match kind.activation {
        KindOfActivation::Relu => Activation::Relu,
        KindOfActivation::TopK { k, .. } => Activation::TopK { k },
        KindOfActivation::JumpRelu => Activation::JumpRelu { threshold: tensors.take("threshold", &[d_sae], name)? },
        KindOfActivation::Gated => Activation::Gated {
            r_mag: tensors.take("r_mag", &[d_sae], name)?,
            b_mag: tensors.take("b_mag", &[d_sae], name)?,
        },
        KindOfActivation::MatchingPursuit { residual_threshold, max_iterations, stop_on_duplicate_support } => {
            Activation::MatchingPursuit { residual_threshold, max_iterations, stop_on_duplicate_support }
        }
    };
    let skip = kind.with_skip.then(|| tensors.take("W_skip", &[d_out, d_in], name)).transpose()?;
    tensors.finish(name)?;
    let mut sae = Sae {
        d_in,
        d_sae,
        w_enc,
        b_enc,
        w_dec,
        b_dec,
        apply_b_dec_to_input: kind.apply_b_dec_to_input,
        activation,
        normalisation: kind.normalisation,
        transcoder: kind.d_out.map(|d_out| Transcoder { d_out, skip }),
    };
    sae.check()?;
    if let KindOfActivation::TopK { rescale_by_decoder_norm: true, .. } = kind.activation {
        sae.fold_direction_lengths();
    }
    if let Some(scale) = kind.input_scale {
        // What a transcoder writes has a scale of its own, and a pursuit's features would be of another size.
        let is_fixed = kind.d_out.is_some() || matches!(sae.activation, Activation::MatchingPursuit { .. });
        if !scale.is_finite() || scale <= 0.0 || (is_fixed && scale != 1.0) {
            return Err(SaeFileError::InputScale(scale));
        }
        sae.fold_input_scale(scale);
    }
    Ok(sae)
}
