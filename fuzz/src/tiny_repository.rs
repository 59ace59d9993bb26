//! The smallest model that a repository of the hub can hold: one block of llama, of width 4, without its tokenizer.

use std::fmt::Write;

pub const CONFIG: &str = r#"{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 1,
"hidden_size": 4, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 4, "vocab_size": 8,
"max_position_embeddings": 16, "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "eos_token_id": [1],
"rope_theta": 10000.0, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
"high_freq_factor": 4.0, "original_max_position_embeddings": 8}}"#;

const WEIGHTS: [(&str, &[usize]); 11] = [
    ("model.embed_tokens.weight", &[8, 4]),
    ("model.layers.0.input_layernorm.weight", &[4]),
    ("model.layers.0.self_attn.q_proj.weight", &[4, 4]),
    ("model.layers.0.self_attn.k_proj.weight", &[2, 4]),
    ("model.layers.0.self_attn.v_proj.weight", &[2, 4]),
    ("model.layers.0.self_attn.o_proj.weight", &[4, 4]),
    ("model.layers.0.post_attention_layernorm.weight", &[4]),
    ("model.layers.0.mlp.gate_proj.weight", &[4, 4]),
    ("model.layers.0.mlp.up_proj.weight", &[4, 4]),
    ("model.layers.0.mlp.down_proj.weight", &[4, 4]),
    ("model.norm.weight", &[4]),
];

/// `model.safetensors`: all numbers are 0, in half precision.
pub fn weights() -> Vec<u8> {
    let mut header = String::from(r#"{"__metadata__": {"format": "pt"}"#);
    let mut end = 0;
    for (name, shape) in WEIGHTS {
        let start = end;
        end += 2 * shape.iter().product::<usize>();
        write!(header, r#", "{name}": {{"dtype": "F16", "shape": {shape:?}, "data_offsets": [{start}, {end}]}}"#)
            .expect("writing into a text");
    }
    header.push('}');
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.into_bytes());
    file.resize(file.len() + end, 0);
    file
}
