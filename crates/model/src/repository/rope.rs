//! Rotations as `config.json` describes them, in either of the ways that transformers has written.

use super::options::{Options, wrong};
use crate::config::within;
use crate::{ModelError, RopeConfig, RopeFactors};
use std::f64::consts::TAU;

/// What an architecture's rotations are where its configuration does not say.
pub(super) struct Defaults {
    pub base: f32,
    /// The option that held the base before there was `rope_parameters`.
    pub base_key: &'static str,
    /// How much of a head is rotated.
    pub part: f32,
}

/// The rotation of the layers of this type (`full_attention`, `sliding_attention`; other models have one for all).
///
/// Before, `rope_theta` stood beside `rope_scaling` (null, or an object with the type and its numbers), which was for
/// all layers but those with a window. Now `rope_parameters` holds both, or holds such an object for each type.
pub(super) fn read(
    options: &Options,
    layer_type: &str,
    defaults: &Defaults,
    head_dim: u32,
    context: u32,
) -> Result<RopeConfig, ModelError> {
    let parameters = options.find_options("rope_parameters")?;
    let of_type = match &parameters {
        Some(parameters) => parameters.find_options(layer_type)?,
        None => None,
    };
    let scaling = match (of_type, parameters, layer_type) {
        (Some(of_type), ..) => Some(of_type),
        (None, Some(parameters), _) => Some(parameters),
        (None, None, "sliding_attention") => None,
        (None, None, _) => options.find_options("rope_scaling")?,
    };
    let of_scaling = |key: &str| match &scaling {
        Some(scaling) => scaling.find_f32(key),
        None => Ok(None),
    };
    let base = match of_scaling("rope_theta")? {
        Some(base) => base,
        None => options.find_f32(defaults.base_key)?.unwrap_or(defaults.base),
    };
    let base = within("RoPE base", base, 1.0..=1e9)?;
    let part = of_scaling("partial_rotary_factor")?.unwrap_or(defaults.part);
    let dims = within("RoPE dimensions", (head_dim as f32 * part) as u32, 2..=head_dim)?;
    if !dims.is_multiple_of(2) {
        return Err(wrong("partial_rotary_factor", "such that an even number of dimensions is rotated"));
    }
    let plain = RopeConfig::plain(base, dims, false);
    let Some(scaling) = scaling else { return Ok(plain) };
    let kind = match scaling.find_str("rope_type")? {
        Some(kind) => Some(kind),
        None => scaling.find_str("type")?,
    };
    match kind {
        None | Some("default") => Ok(plain),
        Some("linear") => {
            let factor = scaling.find_f32("factor")?.ok_or_else(|| wrong("factor", "a number"))?;
            Ok(RopeConfig { linear_scale: within("RoPE scale", factor, 1.0..=1e4)?, ..plain })
        }
        Some("llama3") => {
            let factors = Llama3::read(&scaling, context)?.factors(f64::from(base), dims);
            Ok(RopeConfig { factors: RopeFactors::Values(factors), ..plain })
        }
        Some(other) => {
            let shown: String = other.chars().take(100).collect();
            Err(ModelError::Unsupported { what: format!("RoPE scaling of the type \"{shown}\"") })
        }
    }
}

/// Llama 3.1's scaling: waves longer than the original context allows are stretched, short ones are not, those in
/// between by parts (`_compute_llama3_parameters` in transformers' `modeling_rope_utils.py`).
struct Llama3 {
    factor: f64,
    low: f64,
    high: f64,
    original: f64,
}

impl Llama3 {
    fn read(scaling: &Options, context: u32) -> Result<Llama3, ModelError> {
        let number = |key: &'static str| scaling.find_f32(key)?.ok_or_else(|| wrong(key, "a number"));
        let factor = within("RoPE scale", number("factor")?, 1.0..=1e4)?;
        let low = within("RoPE low frequency factor", number("low_freq_factor")?, 1e-3..=1e6)?;
        let high = within("RoPE high frequency factor", number("high_freq_factor")?, 1e-3..=1e6)?;
        if low >= high {
            return Err(wrong("high_freq_factor", "a number greater than low_freq_factor"));
        }
        let original = scaling.find_u32("original_max_position_embeddings")?.unwrap_or(context);
        let original = within("original context length", original, 1..=1 << 24)?;
        Ok(Llama3 { factor: factor.into(), low: low.into(), high: high.into(), original: original.into() })
    }

    /// By how much each pair's wave is longer.
    fn factors(&self, base: f64, dims: u32) -> Vec<f32> {
        let factor = |pair: u32| {
            let wave = TAU * base.powf(f64::from(2 * pair) / f64::from(dims));
            let waves = self.original / wave;
            let unscaled = ((waves - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
            1.0 / ((1.0 - unscaled) / self.factor + unscaled)
        };
        (0..dims / 2).map(|pair| factor(pair) as f32).collect()
    }
}
