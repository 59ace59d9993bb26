"""Activations of transformers' models, under TransformerLens's names and in its meanings.

- Queries, keys and values are `[tokens, heads * head_dim]` as the projections give them: before the norms of heads and
  before the rotation; `rot_q` and `rot_k` after both, as attention takes them in. `z` is what the output projection takes in. Patterns are `[heads, queries, keys]`.
- `hook_pre` goes into the activation function (of a gated MLP: the gate's half; the other is `hook_pre_linear`);
  `hook_post` into the down-projection.
- `hook_attn_out` and `hook_mlp_out` are what is added to the residual stream: on Gemma after the norm that follows.
- `hook_scale` is what a norm divides by, `hook_normalized` what it gives before gain and bias.
"""

import sys

import torch

# How many layers have their inner sites recorded; the residual stream is recorded at all.
INNER_LAYERS = 2


def parts(model):
    """Where a family keeps its parts: embedding, blocks, final norm, and for each block a dictionary of modules."""
    kind = model.config.model_type
    if kind == "gpt2":
        base = model.transformer
        named = [
            {"ln1": b.ln_1, "ln2": b.ln_2, "fused": b.attn.c_attn, "out": b.attn.c_proj}
            | {"up": b.mlp.c_fc, "down": b.mlp.c_proj}
            for b in base.h
        ]
        return base.wte, base.h, base.ln_f, named
    if kind == "gpt_neo":
        base = model.transformer
        named = [
            {"ln1": b.ln_1, "ln2": b.ln_2, "out": b.attn.attention.out_proj, "up": b.mlp.c_fc, "down": b.mlp.c_proj}
            | {part: getattr(b.attn.attention, f"{part}_proj") for part in "qkv"}
            for b in base.h
        ]
        return base.wte, base.h, base.ln_f, named
    if kind == "gpt_neox":
        base = model.gpt_neox
        named = [
            {
                "ln1": b.input_layernorm,
                "ln2": b.post_attention_layernorm,
                "interleaved": b.attention.query_key_value,
                "out": b.attention.dense,
                "up": b.mlp.dense_h_to_4h,
                "down": b.mlp.dense_4h_to_h,
            }
            for b in base.layers
        ]
        return base.embed_in, base.layers, base.final_layer_norm, named
    base = model.model
    sandwich = kind in ("gemma2", "gemma3_text")
    named = [
        {
            "ln1": b.input_layernorm,
            "ln2": b.pre_feedforward_layernorm if sandwich else b.post_attention_layernorm,
            "out": b.self_attn.o_proj,
            "gate": b.mlp.gate_proj,
            "up": b.mlp.up_proj,
            "down": b.mlp.down_proj,
        }
        | {part: getattr(b.self_attn, f"{part}_proj") for part in "qkv"}
        | ({"attn_added": b.post_attention_layernorm, "mlp_added": b.post_feedforward_layernorm} if sandwich else {})
        for b in base.layers
    ]
    return base.embed_tokens, base.layers, base.norm, named


def divided(norm, x):
    """What a norm divides by, `[tokens, 1]`, and what it gives before gain and bias."""
    if isinstance(norm, torch.nn.LayerNorm):
        x, epsilon = x - x.mean(-1, keepdim=True), norm.eps
    else:
        epsilon = norm.variance_epsilon if hasattr(norm, "variance_epsilon") else norm.eps
    scale = (x.pow(2).mean(-1, keepdim=True) + epsilon).sqrt()
    return scale, x / scale


def capture(model, ids):
    """Every recorded site for one prompt: {name: [tokens, width]}."""
    sites, handles = {}, []

    def keep(module, name):
        def hook(_module, _inputs, output):
            sites[name] = (output[0] if isinstance(output, tuple) else output)[0].clone()

        handles.append(module.register_forward_hook(hook))

    def keep_input(module, name):
        handles.append(module.register_forward_pre_hook(lambda _m, inputs: sites.update({name: inputs[0][0].clone()})))

    def keep_qkv(module, prefix, split):
        def hook(_module, _inputs, output):
            for part, value in zip("qkv", split(output[0])):
                sites[f"{prefix}attn.hook_{part}"] = value.clone()

        handles.append(module.register_forward_hook(hook))

    def keep_norm(module, prefix):
        def hook(norm, inputs, output):
            scale, normalised = divided(norm, inputs[0][0])
            # Gemma stores gains less 1. That the norm's own output follows is the check of what is recorded here.
            gain = norm.weight + (1 if model.config.model_type.startswith("gemma") else 0)
            bias = norm.bias if isinstance(norm, torch.nn.LayerNorm) else 0
            torch.testing.assert_close(normalised * gain + bias, output[0], rtol=1e-4, atol=1e-5)
            sites[f"{prefix}.hook_scale"], sites[f"{prefix}.hook_normalized"] = scale, normalised

        handles.append(module.register_forward_hook(hook))

    embedding, blocks, final_norm, named = parts(model)
    keep(embedding, "hook_embed")
    if hasattr(getattr(model, "transformer", None), "wpe"):
        keep(model.transformer.wpe, "hook_pos_embed")
    # The last layers: where a model has two kinds of layers, both are among them.
    inner = range(max(0, len(blocks) - INNER_LAYERS), len(blocks))
    parallel = getattr(model.config, "use_parallel_residual", False)
    for index, (block, part) in enumerate(zip(blocks, named)):
        prefix = f"blocks.{index}."
        if index == 0:
            keep_input(block, prefix + "hook_resid_pre")
        keep(block, prefix + "hook_resid_post")
        if index not in inner:
            continue
        if not parallel:
            keep_input(part["ln2"], prefix + "hook_resid_mid")
        keep(part.get("attn_added", part["out"]), prefix + "hook_attn_out")
        keep(part.get("mlp_added", part["down"]), prefix + "hook_mlp_out")
        keep_input(part["out"], prefix + "attn.hook_z")
        keep_input(part["down"], prefix + "mlp.hook_post")
        if "gate" in part:
            keep(part["gate"], prefix + "mlp.hook_pre")
            keep(part["up"], prefix + "mlp.hook_pre_linear")
        else:
            keep(part["up"], prefix + "mlp.hook_pre")
        if "fused" in part:
            keep_qkv(part["fused"], prefix, lambda value: value.chunk(3, -1))
        elif "interleaved" in part:
            heads = model.config.num_attention_heads

            def split(value):
                return [each.reshape(len(value), -1) for each in value.view(len(value), heads, 3, -1).unbind(2)]

            keep_qkv(part["interleaved"], prefix, split)
        else:
            for letter in "qkv":
                keep(part[letter], f"{prefix}attn.hook_{letter}")
        keep_norm(part["ln1"], prefix + "ln1")
        keep_norm(part["ln2"], prefix + "ln2")
        if "attn_added" in part:
            keep_norm(part["attn_added"], prefix + "ln1_post")
            keep_norm(part["mlp_added"], prefix + "ln2_post")
    keep_norm(final_norm, "ln_final")

    # Families that rotate do it just before this function of their module.
    module = sys.modules[type(model).__module__]
    rotates = model.config.model_type not in ("gpt2", "gpt_neo")
    if rotates:
        attend = module.eager_attention_forward

        def kept(attention, query, key, *arguments, **named_arguments):
            if attention.layer_idx in inner:
                for name, heads in (("rot_q", query), ("rot_k", key)):
                    flat = heads[0].transpose(0, 1).reshape(len(ids), -1)
                    sites[f"blocks.{attention.layer_idx}.attn.hook_{name}"] = flat.clone()
            return attend(attention, query, key, *arguments, **named_arguments)

        module.eager_attention_forward = kept
    with torch.no_grad():
        output = model(torch.tensor([ids]), use_cache=False, output_attentions=True)
    if rotates:
        module.eager_attention_forward = attend
    for handle in handles:
        handle.remove()
    for index in inner:
        sites[f"blocks.{index}.attn.hook_pattern"] = output.attentions[index][0]
    sites["logits"] = output.logits[0]
    return {name: value.detach() for name, value in sites.items()}
