//! What the tensors of a safetensors file of no known layout could be, for whoever opens it to confirm: a
//! `mapping.json` ([`super::mapping`]) by their names and shapes.

use super::error::{SaeFileError, shown};
use crate::{ByteSource, Dtype, Safetensors};
use serde_json::{Map, Value, json};

/// A vector's role, words of which one is in its name, and the architecture that it tells.
const VECTORS: [(&str, &[&str], Option<&str>); 4] = [
    ("threshold", &["thresh", "theta"], Some("jumprelu")),
    ("r_mag", &["r_mag"], Some("gated")),
    ("b_mag", &["b_mag", "mag_bias"], Some("gated")),
    ("b_gate", &["b_gate", "gate_bias"], Some("gated")),
];

#[derive(Clone)]
struct Named {
    name: String,
    shape: Vec<usize>,
}

impl Named {
    fn says(&self, words: &[&str]) -> bool {
        let name = self.name.to_lowercase();
        words.iter().any(|word| name.contains(word))
    }
}

/// The `mapping.json`, as text, that fits the file best: an encoder and a decoder by their names and shapes, of which one
/// side is `width`, that of the activation, or else the shorter one, and the other counts the features; biases and thresholds by names and lengths; a bias that is not there as zeros. Of what
/// no tensor tells (the activation of a plain SAE, the site) it has the simplest, or nothing. Errors where no two matrices
/// could be encoder and decoder.
pub async fn propose_mapping(
    file: &str,
    source: &impl ByteSource,
    site: Option<&str>,
    width: usize,
) -> Result<String, SaeFileError> {
    let floats = Safetensors::read(source).await?.tensors.into_iter();
    let floats = floats.filter(|(_, tensor)| matches!(tensor.dtype, Dtype::Float(_)));
    let tensors: Vec<Named> = floats.map(|(name, tensor)| Named { name, shape: tensor.shape }).collect();
    let unfit = || SaeFileError::NoMatrices { file: shown(file) };
    let (encoder, decoder) = matrices(&tensors).ok_or_else(unfit)?;
    let (short, long) = (decoder.shape[0].min(decoder.shape[1]), decoder.shape[0].max(decoder.shape[1]));
    let (d_in, d_sae) = if long == width { (long, short) } else { (short, long) };

    let mut roles = Map::new();
    let mut take = |role: &str, tensor: &Named| roles.insert(role.into(), tensor.name.clone().into());
    take("W_enc", encoder);
    take("W_dec", decoder);
    let vectors_of = |length: usize| tensors.iter().filter(move |tensor| tensor.shape == [length]).cloned();
    let mut of_features: Vec<Named> = vectors_of(d_sae).collect();
    let mut architecture = "standard";
    for (role, words, tells) in VECTORS {
        // The logarithm of a threshold is none.
        let fits = |vector: &Named| vector.says(words) && !vector.says(&["log"]);
        if let Some(at) = of_features.iter().position(fits) {
            take(role, &of_features.remove(at));
            architecture = tells.unwrap_or(architecture);
        }
    }
    let mut zeros = Vec::new();
    let is_bias = |vector: &&Named| vector.says(&["bias", "b_", "_b", ".b"]) || vector.name == "b";
    let of_encoder = of_features.iter().find(|vector| vector.says(&["enc"]));
    match of_encoder.or_else(|| of_features.iter().find(is_bias)) {
        _ if architecture == "gated" => {}
        Some(bias) => drop(take("b_enc", bias)),
        None => zeros.push("b_enc"),
    }
    let of_width: Vec<Named> = if d_in == d_sae { of_features } else { vectors_of(d_in).collect() };
    let of_decoder = of_width.iter().find(|vector| vector.says(&["dec", "pre"]));
    match of_decoder.or_else(|| of_width.iter().find(is_bias).filter(|_| d_in != d_sae)) {
        Some(bias) => drop(take("b_dec", bias)),
        None => zeros.push("b_dec"),
    }
    let mut transposed = Vec::new();
    if encoder.shape != [d_in, d_sae] {
        transposed.push("W_enc");
    }
    if decoder.shape != [d_sae, d_in] {
        transposed.push("W_dec");
    }
    let mapping = json!({
        "file": file,
        "tensors": roles,
        "transposed": transposed,
        "zeros": zeros,
        "config": {
            "architecture": architecture,
            "d_in": d_in,
            "d_sae": d_sae,
            "apply_b_dec_to_input": true,
            "normalize_activations": "none",
            "metadata": { "hook_name": site.map_or(Value::Null, Value::from) },
        },
    });
    Ok(serde_json::to_string_pretty(&mapping).unwrap_or_default())
}

/// The two largest matrices with the same two sides, told apart by their names: one name is enough.
fn matrices(tensors: &[Named]) -> Option<(&Named, &Named)> {
    let sides = |tensor: &Named| (tensor.shape[0].min(tensor.shape[1]), tensor.shape[0].max(tensor.shape[1]));
    let is_matrix = |tensor: &&Named| tensor.shape.len() == 2 && sides(tensor).0 > 1;
    let largest = tensors.iter().filter(is_matrix).map(|tensor| (sides(tensor).1, sides(tensor).0)).max()?;
    let fits = |tensor: &&Named| sides(tensor) == (largest.1, largest.0);
    let [first, second] = tensors.iter().filter(is_matrix).filter(fits).collect::<Vec<_>>()[..] else { return None };
    let (encodes, decodes) = (["enc", "w_in", "w1"], ["dec", "w_out", "w2", "dict"]);
    let is_encoder = |one: &Named, other: &Named| {
        one.says(&encodes) && !one.says(&decodes) || other.says(&decodes) && !other.says(&encodes)
    };
    match (is_encoder(first, second), is_encoder(second, first)) {
        (true, false) => Some((first, second)),
        (false, true) => Some((second, first)),
        _ => None,
    }
}
