//! SAELens's layout, written.

use super::{SAELENS_CONFIG, SAELENS_WEIGHTS, SaeFile};
use crate::sae::tensors::{SCALE, transposed};
use crate::safetensors::{self, TensorToWrite as Stored};
use crate::{Quant, quantise};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tiller_sae::{Activation, Normalisation};

/// From 6 on the configuration is read as it is written here.
const LAYOUT_VERSION: &str = "6.0.0";

/// How weights are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    #[default]
    F32,
    F16,
    /// Matrices in whole numbers from -127 to 127, with a scale for each feature; the rest in F32. SAELens has no such
    /// format.
    I8,
}

impl SaeFile {
    /// The files `cfg.json` and `sae_weights.safetensors`, by their names.
    pub fn to_saelens(&self, precision: Precision) -> BTreeMap<String, Vec<u8>> {
        let config = serde_json::to_vec_pretty(&self.config()).expect("names and numbers");
        BTreeMap::from([(SAELENS_CONFIG.into(), config), (SAELENS_WEIGHTS.into(), self.weights(precision))])
    }

    fn config(&self) -> Value {
        let sae = &self.sae;
        let mut config = Map::new();
        let mut set = |option: &str, value: Value| config.insert(option.into(), value);
        let skip = sae.transcoder.as_ref().is_some_and(|transcoder| transcoder.skip.is_some());
        let architecture = match (&sae.activation, &sae.transcoder) {
            (Activation::Relu, None) => "standard",
            (Activation::Relu, Some(_)) if skip => "skip_transcoder",
            (Activation::Relu, Some(_)) => "transcoder",
            (Activation::JumpRelu { .. }, None) => "jumprelu",
            (Activation::JumpRelu { .. }, Some(_)) if skip => "jumprelu_skip_transcoder",
            (Activation::JumpRelu { .. }, Some(_)) => "jumprelu_transcoder",
            (Activation::TopK { .. }, _) => "topk",
            (Activation::Gated { .. }, _) => "gated",
            (Activation::MatchingPursuit { .. }, _) => "matching_pursuit",
        };
        set("architecture", architecture.into());
        set("d_in", sae.d_in.into());
        set("d_sae", sae.d_sae.into());
        set("dtype", "float32".into());
        set("device", "cpu".into());
        set("apply_b_dec_to_input", sae.apply_b_dec_to_input.into());
        let normalisation = match sae.normalisation {
            Normalisation::None => "none",
            Normalisation::LayerNorm => "layer_norm",
            Normalisation::ConstantNorm => "constant_norm_rescale",
        };
        set("normalize_activations", normalisation.into());
        set("reshape_activations", "none".into());
        match &sae.activation {
            Activation::TopK { k } => {
                set("k", (*k).into());
                set("rescale_acts_by_decoder_norm", false.into());
            }
            Activation::MatchingPursuit { residual_threshold, max_iterations, stop_on_duplicate_support } => {
                set("residual_threshold", (*residual_threshold).into());
                set("max_iterations", (*max_iterations).into());
                set("stop_on_duplicate_support", (*stop_on_duplicate_support).into());
            }
            _ => {}
        }
        if let Some(transcoder) = &sae.transcoder {
            set("d_out", transcoder.d_out.into());
        }
        let about = &self.trained_on;
        let mut metadata = Map::from_iter([("sae_lens_version".into(), json!(LAYOUT_VERSION))]);
        let mut note = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                metadata.insert(key.into(), value);
            }
        };
        note("model_name", about.model.clone().map(Value::from));
        note("hook_name", about.site.clone().map(Value::from));
        note("hook_name_out", about.site_out.clone().map(Value::from));
        note("hook_head_index", about.head.map(Value::from));
        note("prepend_bos", about.prepend_bos.map(Value::from));
        note("context_size", about.context.map(Value::from));
        note("dataset_path", about.texts.clone().map(Value::from));
        note("neuronpedia_id", about.neuronpedia.clone().map(Value::from));
        let centred = about.centred.map(|centred| json!({ "center_writing_weights": centred }));
        note("model_from_pretrained_kwargs", centred);
        set("metadata", metadata.into());
        config.into()
    }

    fn weights(&self, precision: Precision) -> Vec<u8> {
        let sae = &self.sae;
        let (d_in, d_sae, d_out) = (sae.d_in, sae.d_sae, sae.d_out());
        let mut tensors: Vec<(&str, Vec<usize>, &[f32])> =
            vec![("W_dec", vec![d_sae, d_out], &sae.w_dec), ("b_dec", vec![d_out], &sae.b_dec)];
        // Matching pursuit has none.
        let w_enc = if sae.w_enc.is_empty() { Vec::new() } else { transposed(&sae.w_enc, d_sae, d_in) };
        if !matches!(sae.activation, Activation::MatchingPursuit { .. }) {
            let bias = if let Activation::Gated { .. } = sae.activation { "b_gate" } else { "b_enc" };
            tensors.push(("W_enc", vec![d_in, d_sae], &w_enc));
            tensors.push((bias, vec![d_sae], &sae.b_enc));
        }
        match &sae.activation {
            Activation::JumpRelu { threshold } => tensors.push(("threshold", vec![d_sae], threshold)),
            Activation::Gated { r_mag, b_mag } => {
                tensors.push(("r_mag", vec![d_sae], r_mag));
                tensors.push(("b_mag", vec![d_sae], b_mag));
            }
            _ => {}
        }
        if let Some(skip) = sae.transcoder.as_ref().and_then(|transcoder| transcoder.skip.as_ref()) {
            tensors.push(("W_skip", vec![d_out, d_in], skip));
        }
        let tensors = tensors.into_iter().flat_map(|(name, shape, numbers)| stored(name, shape, numbers, precision));
        safetensors::to_bytes(tensors, &BTreeMap::new())
    }
}

/// A tensor; in I8, its scales and itself.
fn stored(name: &str, shape: Vec<usize>, numbers: &[f32], precision: Precision) -> Vec<Stored> {
    let plain = |quant, dtype| {
        let bytes = quantise(quant, numbers).expect("formats without blocks");
        vec![Stored { name: name.into(), dtype, shape: shape.clone(), bytes }]
    };
    match (precision, name, shape.as_slice()) {
        (Precision::F16, _, _) => plain(Quant::F16, "F16"),
        (Precision::I8, "W_enc", &[_, d_sae]) => rounded(name, &shape, numbers, &[1, d_sae], |_, col| col),
        (Precision::I8, _, &[d_sae, _]) => rounded(name, &shape, numbers, &[d_sae, 1], |row, _| row),
        _ => plain(Quant::F32, "F32"),
    }
}

/// `of`: the scale of a place in the matrix.
fn rounded(
    name: &str,
    shape: &[usize],
    numbers: &[f32],
    scales: &[usize],
    of: fn(usize, usize) -> usize,
) -> Vec<Stored> {
    const MOST: f32 = 127.0;
    let places = || numbers.iter().enumerate().map(|(i, &x)| (of(i / shape[1], i % shape[1]), x));
    let mut largest = vec![0f32; scales.iter().product()];
    places().for_each(|(scale, x)| largest[scale] = largest[scale].max(x.abs()));
    // A row of zeros stays one.
    let scale: Vec<f32> = largest.iter().map(|&x| if x > 0.0 { x / MOST } else { 1.0 }).collect();
    let bytes = places().map(|(i, x)| ((x / scale[i]).round() as i8).cast_unsigned()).collect();
    let scale = quantise(Quant::F32, &scale).expect("a format without blocks");
    vec![
        Stored { name: format!("{name}{SCALE}"), dtype: "F32", shape: scales.into(), bytes: scale },
        Stored { name: name.into(), dtype: "I8", shape: shape.into(), bytes },
    ]
}
