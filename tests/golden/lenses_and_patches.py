"""Reference numbers by TransformerLens, of the tiny GPT-2 of `architectures`: lens, attribution and patching where norms
centre, positions are learned and everything has a bias.

    python lenses_and_patches.py            # writes lenses_and_patches.json beside this script
    python lenses_and_patches.py --check    # compares instead, and says what differs

Gains and biases of norms are folded into what reads them, as TransformerLens's `logit_attrs` wants it; nothing is centred.
Folding changes no residual stream. The weights go in through TransformerLens's own conversion; f32 arithmetic.
"""

import argparse
import json
import os

import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig, patching
from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights
from transformers import AutoModelForCausalLM

from common import rounded, write_or_compare

HERE = os.path.dirname(os.path.abspath(__file__))
ANSWER, WRONG = 7, 90
# The corrupt prompt has another token here.
CHANGED, TO = 12, 33


def load(folder):
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    of = theirs.config
    cfg = HookedTransformerConfig(
        n_layers=of.n_layer, d_model=of.n_embd, n_ctx=of.n_positions, d_head=of.n_embd // of.n_head, n_heads=of.n_head,
        d_mlp=of.n_inner or 4 * of.n_embd, act_fn=of.activation_function, d_vocab=of.vocab_size, normalization_type="LN",
        eps=of.layer_norm_epsilon, device="cpu",
    )  # fmt: skip
    model = HookedTransformer(cfg)
    model.load_and_process_state_dict(
        convert_gpt2_weights(theirs, cfg), fold_ln=True, center_writing_weights=False, center_unembed=False,
        fold_value_biases=False,
    )  # fmt: skip
    model.set_use_attn_result(True)
    return model.eval(), theirs


def difference(logits):
    return logits[0, -1, ANSWER] - logits[0, -1, WRONG]


def attribution(model, cache):
    """What each part adds to the logit difference at the last token, by TransformerLens's names."""
    parts = {"hook_embed": cache["hook_embed"] + cache["hook_pos_embed"]}
    for layer in range(model.cfg.n_layers):
        results = cache[f"blocks.{layer}.attn.hook_result"]
        parts |= {f"blocks.{layer}.attn.hook_result.{head}": results[:, :, head] for head in range(model.cfg.n_heads)}
        parts[f"blocks.{layer}.attn.b_O"] = model.b_O[layer].expand_as(parts["hook_embed"])
        parts[f"blocks.{layer}.hook_mlp_out"] = cache[f"blocks.{layer}.hook_mlp_out"]
    stack = torch.stack([part[:, -1] for part in parts.values()])
    found = cache.logit_attrs(stack, torch.tensor([ANSWER]), incorrect_tokens=torch.tensor([WRONG]), pos_slice=-1)
    shares = dict(zip(parts, found[:, 0].tolist()))
    shares["ln_final.b"] = (model.b_U[ANSWER] - model.b_U[WRONG]).item()
    return shares


def lens(model, cache):
    """By place, the log probabilities of the two tokens at the last position, and the entropy."""
    places = {"blocks.0.hook_resid_pre": cache["resid_pre", 0]}
    places |= {f"blocks.{n}.hook_resid_post": cache["resid_post", n] for n in range(model.cfg.n_layers)}
    found = {}
    for site, stream in places.items():
        log_probs = model.unembed(model.ln_final(stream))[0, -1].double().log_softmax(-1)
        entropy = -(log_probs.exp() * log_probs).sum().item()
        found[site] = {"answer": log_probs[ANSWER].item(), "wrong": log_probs[WRONG].item(), "entropy": entropy}
    return found


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    folder = os.path.join(HERE, "architectures", "gpt2")
    with open(os.path.join(folder, "golden.json"), encoding="utf-8") as file:
        clean = json.load(file)["greedy"]["prompt_ids"]
    corrupt = [TO if at == CHANGED else token for at, token in enumerate(clean)]
    model, theirs = load(folder)
    logits, cache = model.run_with_cache(torch.tensor([clean]))
    torch.testing.assert_close(logits, theirs(torch.tensor([clean])).logits, rtol=1e-4, atol=1e-5)
    corrupted = torch.tensor([corrupt])
    shares = attribution(model, cache)
    torch.testing.assert_close(torch.tensor(sum(shares.values())), difference(logits), rtol=1e-4, atol=1e-5)
    patch = {
        "resid-pre": patching.get_act_patch_resid_pre,
        "attn-out": patching.get_act_patch_attn_out,
        "mlp-out": patching.get_act_patch_mlp_out,
        "heads": patching.get_act_patch_attn_head_out_all_pos,
    }
    document = {
        "about": "Written by lenses_and_patches.py.",
        "answer": ANSWER,
        "wrong": WRONG,
        "clean": clean,
        "corrupt": corrupt,
        "difference": {"clean": difference(logits).item(), "corrupt": difference(model(corrupted)).item()},
        "attribution": shares,
        "lens": lens(model, cache),
        # [layers, positions], or [layers, heads]: the logit difference of the corrupt run with that part of the clean one.
        "patching": {name: run(model, corrupted, cache, difference).tolist() for name, run in patch.items()},
    }
    write_or_compare(os.path.join(HERE, "lenses_and_patches.json"), rounded(document), arguments.check, 1e-3)


if __name__ == "__main__":
    main()
