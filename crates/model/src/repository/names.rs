//! What the hub's repositories call their tensors, and how those lie in them.

use super::config::Family;
use super::layout::Layout;
use crate::ModelConfig;

/// What a stored tensor is to the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A weight, under GGUF's name.
    Weight {
        name: String,
        layout: Layout,
    },
    /// A mask, a table of angles: what can be computed. Or the unembedding beside an embedding to which it is tied.
    Superfluous,
    Unknown,
}

/// Modules outside the blocks.
const OUTER: [(&str, &str); 9] = [
    ("model.embed_tokens", "token_embd"),
    ("model.norm", "output_norm"),
    ("lm_head", "output"),
    ("wte", "token_embd"),
    ("wpe", "position_embd"),
    ("ln_f", "output_norm"),
    ("gpt_neox.embed_in", "token_embd"),
    ("gpt_neox.final_layer_norm", "output_norm"),
    ("embed_out", "output"),
];

const BLOCKS: [&str; 3] = ["model.layers.", "gpt_neox.layers.", "h."];

/// Modules of a block, but for the norms whose names say something else in Gemma 2.
const PARTS: [(&str, &str); 27] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("ln_1", "attn_norm"),
    ("attn.c_attn", "attn_qkv"),
    ("attn.c_proj", "attn_output"),
    ("attn.attention.q_proj", "attn_q"),
    ("attn.attention.k_proj", "attn_k"),
    ("attn.attention.v_proj", "attn_v"),
    ("attn.attention.out_proj", "attn_output"),
    ("ln_2", "ffn_norm"),
    ("mlp.c_fc", "ffn_up"),
    ("mlp.c_proj", "ffn_down"),
    ("attention.query_key_value", "attn_qkv"),
    ("attention.dense", "attn_output"),
    ("mlp.dense_h_to_4h", "ffn_up"),
    ("mlp.dense_4h_to_h", "ffn_down"),
    ("post_attention_layernorm", "ffn_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
];

/// Buffers that older repositories carry besides the weights, by the ends of their names.
const BUFFERS: [&str; 5] =
    [".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"];

/// What the tensor that is stored as `name` is to a model of this family.
pub(super) fn role(family: Family, config: &ModelConfig, name: &str) -> Role {
    // GPT-2's first repositories have no prefix, GPT-Neo's do.
    let name = name.strip_prefix("transformer.").unwrap_or(name);
    let Some(weight) = weight(config, name) else {
        let is_buffer = BUFFERS.iter().any(|end| name.ends_with(end));
        return if is_buffer { Role::Superfluous } else { Role::Unknown };
    };
    if config.tied_embeddings && weight == "output.weight" {
        return Role::Superfluous;
    }
    let layout = match family {
        Family::Gpt2 if is_conv1d(&weight) => Layout::Transposed,
        Family::GptNeoX if weight.contains("attn_qkv.") => {
            Layout::Interleaved { heads: config.heads as usize, head_dim: config.head_dim as usize }
        }
        // Gemma's norms multiply by their gain plus one.
        Family::Gemma if weight.ends_with("norm.weight") => Layout::PlusOne,
        _ => Layout::AsIs,
    };
    Role::Weight { name: weight, layout }
}

/// GPT-2's matrices but its embeddings are stored `[inputs, outputs]`.
fn is_conv1d(weight: &str) -> bool {
    ["attn_qkv", "attn_output", "ffn_up", "ffn_down"].iter().any(|part| weight.ends_with(&format!(".{part}.weight")))
}

/// GGUF's name of a weight, if it is one.
fn weight(config: &ModelConfig, name: &str) -> Option<String> {
    let (module, kind) = name.rsplit_once('.').filter(|(_, kind)| matches!(*kind, "weight" | "bias"))?;
    if let Some((_, outer)) = OUTER.iter().find(|(known, _)| *known == module) {
        return Some(format!("{outer}.{kind}"));
    }
    let in_block = BLOCKS.iter().find_map(|prefix| module.strip_prefix(prefix))?;
    let (index, part) = in_block.split_once('.')?;
    let index: u32 = index.parse().ok()?;
    let part = match part {
        "post_attention_layernorm" if config.post_norms => "post_attention_norm",
        _ => PARTS.iter().find(|(known, _)| *known == part)?.1,
    };
    Some(format!("blk.{index}.{part}.{kind}"))
}
