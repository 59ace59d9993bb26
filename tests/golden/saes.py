"""Small random sparse autoencoders in the layouts that exist, and what sae-lens makes of them.

    python saes.py            # writes saes/NAME/ beside this script
    python saes.py --check    # makes them anew elsewhere, and says what differs

Every kind and every normalisation that is read; files are written by sae-lens, numpy and safetensors, and read again by
sae-lens's own loaders (those that fetch are given the file that lies here); Sparsify's by Sparsify. `expected.json` has activations, their
features as pairs of number and value, and reconstructions; f32 arithmetic.
"""

import argparse
import filecmp
import json
import os
import sys
import tempfile
import warnings

import numpy as np
import torch
from safetensors.torch import save_file

from common import differences, rounded, write_json

warnings.filterwarnings("ignore")
# Sparsify's decoder for machines without a GPU.
os.environ["SPARSIFY_DISABLE_TRITON"] = "1"
import sae_lens.loading.pretrained_sae_loaders as loaders  # noqa: E402
from sae_lens import SAE  # noqa: E402
from sparsify import SparseCoder, SparseCoderConfig  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH, FEATURES, OUT, ROWS = 12, 24, 9, 6
INPUT_SCALE = 0.375
ABOUT = {
    "model_name": "tiny",
    "hook_name": "blocks.1.hook_resid_post",
    "prepend_bos": False,
    "context_size": 128,
    "model_from_pretrained_kwargs": {"center_writing_weights": False},
}


def numbers(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def weights(seed, out=WIDTH, **more):
    """Tensors in sae-lens's layout; directions of different lengths."""
    lengths = 0.5 + torch.arange(FEATURES) / FEATURES
    return {
        "W_enc": numbers(seed, WIDTH, FEATURES) / 2,
        "b_enc": numbers(seed + 1, FEATURES) / 4,
        "W_dec": numbers(seed + 2, FEATURES, out) * lengths[:, None] / out**0.5,
        "b_dec": numbers(seed + 3, out) / 2,
        **more,
    }


def config(architecture, **options):
    return {
        "architecture": architecture,
        "d_in": WIDTH,
        "d_sae": FEATURES,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.54.12", "sae_lens_training_version": "6.54.12", **ABOUT},
        **options,
    }


def save(folder, cfg, tensors):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "cfg.json"), "w", encoding="utf-8", newline="\n") as file:
        json.dump(cfg, file)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, f"{folder}/sae_weights.safetensors")


def activations():
    """The first is far from the others in length."""
    return numbers(1000, ROWS, WIDTH) * torch.tensor([9.0, 1, 1, 1, 0.3, 2])[:, None] + 0.5


def expected(folder, sae, **options):
    """Of an SAE as sae-lens loaded it."""
    x = activations()
    with torch.no_grad():
        features = sae.encode(x)
        # Reconstructed by itself, as the normalisation of an activation is undone once.
        back = torch.cat([sae.forward(row[None]) for row in x])
    write_expected(folder, x, features, back, options)


def write_expected(folder, x, features, back, options):
    assert (features > 0).any(), folder
    found = [[[i, row[i].item()] for i in row.nonzero().flatten().tolist()] for row in features]
    document = {"options": options, "activations": x.tolist(), "features": found, "reconstructions": back.tolist()}
    write_json(os.path.join(folder, "expected.json"), rounded(document))


def sae_lens_layout(folder, cfg, tensors):
    save(folder, cfg, tensors)
    # What sae-lens writes itself is what is here.
    sae = SAE.load_from_disk(folder)
    again = os.path.join(folder, "again")
    sae.save_model(again)
    SAE.load_from_disk(again)
    for name in os.listdir(again):
        os.remove(os.path.join(again, name))
    os.rmdir(again)
    expected(folder, sae)


def since_6(into):
    threshold = {"threshold": numbers(8, FEATURES).abs() / 2}
    untied = {"apply_b_dec_to_input": False}
    for name, cfg, tensors in [
        ("standard", config("standard"), weights(10)),
        ("standard_layer_norm", config("standard", normalize_activations="layer_norm"), weights(20)),
        ("topk", config("topk", k=4), weights(30)),
        ("topk_rescaled", config("topk", k=4, rescale_acts_by_decoder_norm=True, **untied), weights(40)),
        (
            "jumprelu_constant_norm",
            config("jumprelu", normalize_activations="constant_norm_rescale"),
            weights(50, **threshold),
        ),
        ("jumprelu", config("jumprelu", **untied), weights(60, **threshold)),
        ("transcoder", config("transcoder", d_out=OUT, **untied), weights(70, OUT)),
        (
            "skip_transcoder",
            config("skip_transcoder", d_out=OUT, normalize_activations="layer_norm", **untied),
            weights(80, OUT, W_skip=numbers(81, OUT, WIDTH)),
        ),
        (
            "jumprelu_transcoder",
            config("jumprelu_transcoder", d_out=WIDTH, normalize_activations="constant_norm_rescale", **untied),
            weights(90, **threshold),
        ),
    ]:
        sae_lens_layout(os.path.join(into, name), cfg, tensors)

    # Two biases of its own in the place of one. (A jumprelu_skip_transcoder is made below, as Gemma Scope 2's.)
    gated = weights(100, b_gate=numbers(101, FEATURES) / 4, r_mag=numbers(102, FEATURES) / 4)
    gated["b_mag"] = gated.pop("b_enc")
    sae_lens_layout(os.path.join(into, "gated"), config("gated"), gated)

    pursued = weights(110)
    pursued = {name: pursued[name] for name in ("W_dec", "b_dec")}
    pursued["W_dec"] /= pursued["W_dec"].norm(dim=-1, keepdim=True)
    for name, options in [
        ("matching_pursuit", {"residual_threshold": 0.5, "max_iterations": None}),
        ("matching_pursuit_steps", {"residual_threshold": 0.0, "max_iterations": 7, "stop_on_duplicate_support": False}),
    ]:
        sae_lens_layout(os.path.join(into, name), config("matching_pursuit", **options), pursued)


def before_6(into):
    old = {
        "d_in": WIDTH,
        "d_sae": FEATURES,
        "dtype": "float32",
        "device": "cpu",
        "model_name": "gpt2-small",
        "hook_point": "blocks.8.hook_resid_pre",
        "hook_point_layer": 8,
        "hook_point_head_index": None,
        "context_size": 128,
        "l1_coefficient": 8e-05,
        "lr": 0.0004,
        "sae_lens_training_version": None,
    }
    folder = os.path.join(into, "before_6")
    save(folder, old, weights(200, scaling_factor=torch.ones(FEATURES)))
    expected(folder, SAE.load_from_disk(folder))

    folder = os.path.join(into, "before_6_topk")
    old_topk = {
        **{key: value for key, value in old.items() if not key.startswith("hook_point")},
        "hook_name": "blocks.3.hook_mlp_out",
        "activation_fn_str": "topk",
        "activation_fn_kwargs": {"k": 5},
        "architecture": "standard",
        "normalize_activations": False,
        "apply_b_dec_to_input": False,
        "prepend_bos": False,
        "sae_lens_version": "4.1.0",
    }
    save(folder, old_topk, {name: tensor.to(torch.bfloat16) for name, tensor in weights(210).items()})
    sae = SAE.load_from_disk(folder)
    assert sae.cfg.architecture() == "topk"
    expected(folder, sae)

    # Not folded: sae-lens itself passes over it when it loads a folder.
    folder = os.path.join(into, "expected_average")
    save(folder, {**old, "normalize_activations": "expected_average_only_in"}, weights(220))
    sae = SAE.load_from_disk(folder)
    sae.fold_activation_norm_scaling_factor(INPUT_SCALE)
    expected(folder, sae, input_scale=INPUT_SCALE)


def built(cfg, tensors):
    """An SAE of what one of sae-lens's loaders returned."""
    cfg = loaders.handle_config_defaulting(cfg)
    sae_class = SAE.get_sae_class_for_architecture(cfg["architecture"])
    sae = sae_class(SAE.get_sae_config_class_for_architecture(cfg["architecture"]).from_dict(cfg))
    sae.load_state_dict(tensors)
    return sae


def gemma_scope(into):
    threshold = {"threshold": numbers(9, FEATURES).abs() / 2}
    sizes = {"d_in": WIDTH, "d_sae": FEATURES}
    for name, write in [("gemma_scope", np.savez), ("gemma_scope_compressed", np.savez_compressed)]:
        folder = os.path.join(into, name)
        os.makedirs(folder, exist_ok=True)
        write(f"{folder}/params.npz", **{n: t.numpy() for n, t in weights(300, **threshold).items()})
        loaders.hf_hub_download = lambda **_: f"{folder}/params.npz"
        cfg, tensors, _ = loaders.gemma_2_sae_huggingface_loader(
            "google/gemma-scope-2b-pt-res", "layer_3/width_16k/average_l0_59", cfg_overrides=sizes
        )
        expected(folder, built(cfg, tensors), site="blocks.3.hook_resid_post")

    folder = os.path.join(into, "gemma_scope_2")
    os.makedirs(folder, exist_ok=True)
    skip = numbers(311, WIDTH, WIDTH)
    tensors = weights(310, **threshold)
    tensors = {name.replace("W_", "w_"): tensor for name, tensor in tensors.items()}
    save_file({**tensors, "affine_skip_connection": skip}, f"{folder}/params.safetensors")
    cfg = {
        "architecture": "jump_relu",
        "model_name": "google/gemma-3-270m",
        "hf_hook_point_in": "model.layers.5.pre_feedforward_layernorm.output",
        "hf_hook_point_out": "model.layers.5.post_feedforward_layernorm.output",
        "affine_connection": True,
        "width": FEATURES,
        "l0": 20,
    }
    with open(f"{folder}/config.json", "w", encoding="utf-8", newline="\n") as file:
        json.dump(cfg, file)

    def fetched(_repo=None, path=None, **named):
        return os.path.join(folder, os.path.basename(path or named["filename"]))

    loaders.hf_hub_download = fetched
    loaders.get_safetensors_tensor_shapes = lambda *_: {n: list(t.shape) for n, t in tensors.items()}
    cfg, tensors, _ = loaders.gemma_3_sae_huggingface_loader(
        "google/gemma-scope-2-270m-pt", "transcoder/layer_5_width_16k_l0_small_affine", "cpu"
    )
    expected(folder, built(cfg, tensors))


def sparsify(into):
    """Sparsify's own files: an autoencoder, and a transcoder with a skip, whose site_out the caller has to name."""
    for name, seed, options in [("sparsify", 500, {}), ("sparsify_skip", 510, {"transcode": True, "skip_connection": True})]:
        folder = os.path.join(into, name)
        coder = SparseCoder(WIDTH, SparseCoderConfig(num_latents=FEATURES, k=4, **options))
        tensors = weights(seed)
        coder.encoder.weight.data = tensors["W_enc"].T.contiguous()
        coder.encoder.bias.data = tensors["b_enc"]
        coder.W_dec.data = tensors["W_dec"]
        coder.b_dec.data = tensors["b_dec"]
        if coder.W_skip is not None:
            coder.W_skip.data = numbers(seed + 4, WIDTH, WIDTH) / 4
        coder.save_to_disk(folder)
        coder = SparseCoder.load_from_disk(folder)
        x = activations()
        with torch.no_grad():
            strongest = coder.encode(x)
            features = torch.zeros(ROWS, FEATURES).scatter(1, strongest.top_indices, strongest.top_acts)
            back = coder(x).sae_out
        sites = {"site": "blocks.1.hook_resid_post"} | ({"site_out": "blocks.1.hook_resid_post"} if options else {})
        write_expected(folder, x, features, back, sites)


def mapped(into):
    """The same SAE under other names, one matrix the other way round."""
    folder = os.path.join(into, "mapping")
    tensors = weights(400)
    save(folder, config("topk", k=3), tensors)
    expected(folder, SAE.load_from_disk(folder))
    for name in ("cfg.json", "sae_weights.safetensors"):
        os.remove(os.path.join(folder, name))
    file = {
        "encoder.weight": tensors["W_enc"].T.contiguous(),
        "encoder.bias": tensors["b_enc"],
        "W_dec": tensors["W_dec"],
        "b_dec": tensors["b_dec"],
        "unused": torch.zeros(3),
    }
    save_file(file, f"{folder}/sae.safetensors")
    cfg = config("topk", k=3)
    names = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "W_dec", "b_dec": "b_dec"}
    mapping = {"file": "sae.safetensors", "tensors": names, "transposed": ["W_enc"], "config": cfg}
    with open(f"{folder}/mapping.json", "w", encoding="utf-8", newline="\n") as out:
        json.dump(mapping, out)


def make(into):
    since_6(into)
    before_6(into)
    gemma_scope(into)
    sparsify(into)
    mapped(into)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    there = os.path.join(HERE, "saes")
    if not arguments.check:
        return make(there)
    wrong = []
    with tempfile.TemporaryDirectory() as here:
        make(here)
        names = sorted({*os.listdir(here), *os.listdir(there)})
        for path in [os.path.join(name, file) for name in names for file in sorted(os.listdir(f"{here}/{name}"))]:
            if path.endswith("expected.json"):
                with open(f"{there}/{path}", encoding="utf-8") as old, open(f"{here}/{path}", encoding="utf-8") as new:
                    wrong += differences(json.load(old), json.load(new), 1e-4, path)
            elif not filecmp.cmp(f"{there}/{path}", f"{here}/{path}", shallow=False):
                wrong.append(f"{path}: other bytes")
    print("\n".join(wrong) or "nothing differs")
    return sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
