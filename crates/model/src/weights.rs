//! The tensors of a model: what they are called and which shapes they have.

use crate::checkpoint::{CheckpointError, TensorShape};
use crate::config::NormKind;
use crate::{ModelConfig, ModelError, RopeFactors};
use std::collections::{BTreeMap, BTreeSet};

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

/// Every tensor of a model, in the order in which the pass meets them (names: `gguf-py/gguf/constants.py`).
pub fn weights(config: &ModelConfig) -> Vec<Weight> {
    let [width, ffn, vocab] = [config.width, config.ffn, config.vocab].map(|n| n as usize);
    let [queries, keys, head] = [config.query_width(), config.kv_width(), config.head_dim].map(|n| n as usize);
    let mut list = List { config, weights: Vec::new() };

    list.needed("token_embd.weight".into(), &[vocab, width]);
    if config.learned_positions {
        list.needed("position_embd.weight".into(), &[config.context as usize, width]);
    }
    for n in 0..config.layers {
        let name = |part: &str| format!("blk.{n}.{part}");
        list.norm(&name("attn_norm"), width);
        if config.attention.fused {
            list.matrix(&name("attn_qkv"), queries + 2 * keys, width);
        } else {
            list.matrix(&name("attn_q"), queries, width);
            list.matrix(&name("attn_k"), keys, width);
            list.matrix(&name("attn_v"), keys, width);
        }
        if config.attention.head_norms {
            list.needed(name("attn_q_norm.weight"), &[head]);
            list.needed(name("attn_k_norm.weight"), &[head]);
        }
        list.matrix(&name("attn_output"), width, queries);
        if config.post_norms {
            list.norm(&name("post_attention_norm"), width);
        }
        list.norm(&name("ffn_norm"), width);
        if config.mlp.gated {
            list.matrix(&name("ffn_gate"), ffn, width);
        }
        list.matrix(&name("ffn_up"), ffn, width);
        list.matrix(&name("ffn_down"), width, ffn);
        if config.post_norms {
            list.norm(&name("post_ffw_norm"), width);
        }
    }
    list.norm("output_norm", width);
    list.optional("output.weight".into(), &[vocab, width]);
    for rope in &config.attention.ropes {
        if let RopeFactors::Tensor(name) = &rope.factors {
            list.optional(name.clone(), &[rope.dims as usize / 2]);
        }
    }
    list.weights
}

struct List<'a> {
    config: &'a ModelConfig,
    weights: Vec<Weight>,
}

impl List<'_> {
    fn needed(&mut self, name: String, shape: &[usize]) {
        self.weights.push(Weight { name, shape: shape.into(), optional: false });
    }

    fn optional(&mut self, name: String, shape: &[usize]) {
        self.weights.push(Weight { name, shape: shape.into(), optional: true });
    }

    fn matrix(&mut self, name: &str, outputs: usize, inputs: usize) {
        self.needed(format!("{name}.weight"), &[outputs, inputs]);
        self.optional(format!("{name}.bias"), &[outputs]);
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.needed(format!("{name}.weight"), &[width]);
        if self.config.norm.kind == NormKind::Layer {
            self.optional(format!("{name}.bias"), &[width]);
        }
    }
}

/// Checks that a checkpoint has every tensor that the model needs, in its shape, and none besides: one that the pass
/// would leave out means another model than the one computed.
pub(crate) fn check_weights(tensors: &BTreeMap<String, TensorShape>, config: &ModelConfig) -> Result<(), ModelError> {
    let weights = weights(config);
    for Weight { name, shape, optional } in &weights {
        match tensors.get(name) {
            Some(tensor) if tensor.shape != *shape => {
                return Err(ModelError::Shape {
                    tensor: name.clone(),
                    found: tensor.shape.clone(),
                    wanted: shape.clone(),
                });
            }
            None if !optional => return Err(CheckpointError::Missing { name: name.clone() }.into()),
            _ => {}
        }
    }
    let known: BTreeSet<&str> = weights.iter().map(|weight| weight.name.as_str()).collect();
    match tensors.keys().find(|name| !known.contains(name.as_str())) {
        Some(name) => {
            let shown: String = name.chars().take(100).collect();
            Err(ModelError::Unsupported { what: format!("a tensor \"{shown}\"") })
        }
        None => Ok(()),
    }
}
