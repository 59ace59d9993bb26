"""Golden models of architectures.py as GGUF files, as llama.cpp's `convert_hf_to_gguf.py` makes them from the hub's:
other names, some tensors in another layout, the rest as metadata."""

import math

import gguf
import numpy as np
import torch

# The hub's names of a block's parts, and GGUF's.
PARTS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
    "attention.query_key_value": "attn_qkv",
    "attention.dense": "attn_output",
    "mlp.dense_h_to_4h": "ffn_up",
    "mlp.dense_4h_to_h": "ffn_down",
}
OUTER = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
    "gpt_neox.embed_in": "token_embd",
    "gpt_neox.final_layer_norm": "output_norm",
    "embed_out": "output",
}
BLOCKS = ("model.layers.", "transformer.h.", "gpt_neox.layers.")


def gguf_name(name, gemma):
    """`model.layers.0.mlp.up_proj.weight` -> `blk.0.ffn_up.weight`."""
    stem, kind = name.rsplit(".", 1)
    if stem in OUTER:
        return f"{OUTER[stem]}.{kind}"
    prefix = next(prefix for prefix in BLOCKS if stem.startswith(prefix))
    index, part = stem[len(prefix) :].split(".", 1)
    norms = {"post_attention_layernorm": "ffn_norm"}
    if gemma:
        norms = {
            "post_attention_layernorm": "post_attention_norm",
            "pre_feedforward_layernorm": "ffn_norm",
            "post_feedforward_layernorm": "post_ffw_norm",
        }
    return f"blk.{index}.{norms.get(part) or PARTS[part]}.{kind}"


def side_by_side(weight, heads):
    """Rows of queries or keys from rotary halves to pairs side by side (`permute` in the converter)."""
    return weight.reshape(heads, 2, -1, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def separated(weight, heads):
    """GPT-NeoX's rows from (head, q k v, component) to (q k v, head, component)."""
    return weight.reshape(heads, 3, -1, *weight.shape[1:]).swapaxes(0, 1).reshape(weight.shape)


def converted(name, value, config):
    """A tensor as the converter stores it."""
    if config.model_type == "gpt2" and name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
        return value.T
    if config.model_type == "gpt_neox" and "query_key_value" in name:
        return separated(value, config.num_attention_heads)
    if config.model_type in ("llama", "mistral") and "q_proj" in name:
        return side_by_side(value, config.num_attention_heads)
    if config.model_type in ("llama", "mistral") and "k_proj" in name:
        return side_by_side(value, config.num_key_value_heads)
    if config.model_type == "gemma3_text" and name.endswith("norm.weight"):
        return value + 1
    return value


def llama3_factors(config):
    """Factors of the wave lengths (`rope_freqs.weight`), as the converter computes them."""
    rope = config.rope_parameters
    dims = config.head_dim
    frequencies = 1.0 / (rope["rope_theta"] ** (torch.arange(0, dims, 2, dtype=torch.float32) / dims))
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    original = rope["original_max_position_embeddings"]
    factors = []
    for frequency in frequencies:
        wave = 2 * math.pi / frequency
        if wave < original / high:
            factors.append(1)
        elif wave > original / low:
            factors.append(rope["factor"])
        else:
            smooth = (original / wave - low) / (high - low)
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(factors, dtype=np.float32)


def add_metadata(writer, config):
    """What llama.cpp reads besides the tensors."""
    kind, gemma = config.model_type, config.model_type == "gemma3_text"
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(getattr(config, "intermediate_size", None) or 4 * config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    if kind in ("gpt2", "gpt_neox"):
        writer.add_layer_norm_eps(getattr(config, "layer_norm_eps", None) or config.layer_norm_epsilon)
    if kind == "gpt_neox":
        head_dim = config.hidden_size // config.num_attention_heads
        writer.add_rope_dimension_count(int(config.rope_parameters["partial_rotary_factor"] * head_dim))
        writer.add_parallel_residual(config.use_parallel_residual)
    if kind in ("llama", "mistral", "gemma3_text"):
        head_dim = config.head_dim or config.hidden_size // config.num_attention_heads
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    if kind == "mistral":
        writer.add_sliding_window(config.sliding_window)
    if kind in ("llama", "mistral"):
        writer.add_rope_dimension_count(head_dim)
        writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
        writer.add_vocab_size(config.vocab_size)
    if gemma:
        writer.add_sliding_window(config.sliding_window)
        writer.add_rope_freq_base(config.rope_parameters["full_attention"]["rope_theta"])


def write_gguf(path, model, stored):
    """Writes the model: matrices in `stored` (a number format), the rest as f32."""
    config = model.config
    architecture = {"gpt_neox": "gptneox", "gemma3_text": "gemma3", "mistral": "llama"}.get(config.model_type, config.model_type)
    writer = gguf.GGUFWriter(path, arch=architecture)
    add_metadata(writer, config)
    if config.model_type == "llama" and config.rope_parameters["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(config))
    tied = config.tie_word_embeddings
    for name, value in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        value = np.ascontiguousarray(converted(name, value.detach().float().numpy(), config))
        kind = stored if value.ndim == 2 and "wpe" not in name else gguf.GGMLQuantizationType.F32
        writer.add_tensor(
            gguf_name(name, architecture == "gemma3"), gguf.quants.quantize(value, kind), raw_dtype=kind
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
