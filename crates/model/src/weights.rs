//! The tensors of a model: what they are called and which shapes they have.

use crate::{ModelConfig, ModelError};
use std::collections::BTreeSet;
use tiller_formats::Gguf;

/// A tensor that a model has, or may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// As in the file, such as `blk.3.attn_q.weight`.
    pub name: String,
    /// Matrices are `[outputs, inputs]`.
    pub shape: Vec<usize>,
    /// Whether the model does without where the file lacks it.
    pub optional: bool,
}

/// Every tensor of the Llama family, in the order in which the pass meets them (names:
/// `gguf-py/gguf/constants.py`).
pub fn weights(config: &ModelConfig) -> Vec<Weight> {
    let [width, ffn, vocab] = [config.width, config.ffn, config.vocab].map(|n| n as usize);
    let [queries, keys] = [config.query_width(), config.kv_width()].map(|n| n as usize);
    let needed = |name: String, shape: &[usize]| Weight { name, shape: shape.into(), optional: false };
    let optional = |name: String, shape: &[usize]| Weight { name, shape: shape.into(), optional: true };

    let mut weights = vec![needed("token_embd.weight".into(), &[vocab, width])];
    for n in 0..config.layers {
        let name = |part: &str| format!("blk.{n}.{part}");
        weights.extend([
            needed(name("attn_norm.weight"), &[width]),
            needed(name("attn_q.weight"), &[queries, width]),
            optional(name("attn_q.bias"), &[queries]),
            needed(name("attn_k.weight"), &[keys, width]),
            optional(name("attn_k.bias"), &[keys]),
            needed(name("attn_v.weight"), &[keys, width]),
            optional(name("attn_v.bias"), &[keys]),
            needed(name("attn_output.weight"), &[width, queries]),
            optional(name("attn_output.bias"), &[width]),
            needed(name("ffn_norm.weight"), &[width]),
            needed(name("ffn_gate.weight"), &[ffn, width]),
            needed(name("ffn_up.weight"), &[ffn, width]),
            needed(name("ffn_down.weight"), &[width, ffn]),
        ]);
    }
    weights.push(needed("output_norm.weight".into(), &[width]));
    weights.push(optional("output.weight".into(), &[vocab, width]));
    if let Some(name) = &config.rope.frequency_factors {
        weights.push(optional(name.clone(), &[config.rope.dims as usize / 2]));
    }
    weights
}

/// Checks that the file has every tensor that the model needs, in its shape, and none besides: one that the pass would
/// leave out means another model than the one computed.
pub(crate) fn check_weights(gguf: &Gguf, config: &ModelConfig) -> Result<(), ModelError> {
    let weights = weights(config);
    for Weight { name, shape, optional } in &weights {
        match gguf.tensor(name) {
            Ok(tensor) if tensor.shape != *shape => {
                return Err(ModelError::Shape {
                    tensor: name.clone(),
                    found: tensor.shape.clone(),
                    wanted: shape.clone(),
                });
            }
            Err(missing) if !optional => return Err(missing.into()),
            _ => {}
        }
    }
    let known: BTreeSet<&str> = weights.iter().map(|weight| weight.name.as_str()).collect();
    match gguf.tensors.keys().find(|name| !known.contains(name.as_str())) {
        Some(name) => {
            let shown: String = name.chars().take(100).collect();
            Err(ModelError::Unsupported { what: format!("a tensor \"{shown}\"") })
        }
        None => Ok(()),
    }
}
