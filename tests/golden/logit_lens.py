"""Reference numbers for the logit lens on SmolLM2-135M-Instruct (Q4_1), from Hugging Face transformers.

    python logit_lens.py --model MODEL.gguf            # writes logit_lens.json beside this script
    python logit_lens.py --model MODEL.gguf --check    # compares instead, and says what differs

Weights dequantised to f32, f32 arithmetic, as in smollm2.py, whose prompts these are. The input of the first block and
the output of each go through the model's own final norm and unembedding, as transformers computes them.
"""

import argparse
import json
import os

import torch

from common import rounded, write_or_compare
from smollm2 import HERE, MODEL_SHA256, check_weights, load_model, sha256_of

PROMPTS = ["france", "story"]
# " Paris", " London", " the" and a newline: a token that wins late, its rival, one that is common, one that is not a word.
WATCHED = [7042, 4528, 260, 198]
TOP = 5
# A rank counts what is more probable. Logits this near count as equal, and a rank is given as the range that follows.
NEAR = 2e-3


def streams(model, ids):
    """The residual stream before the first block and after each: {site: [tokens, width]}."""
    found, layers = {}, model.model.layers

    def keep_input(_module, arguments):
        found["blocks.0.hook_resid_pre"] = arguments[0][0].clone()

    def keep(name):
        def hook(_module, _inputs, output):
            found[name] = (output[0] if isinstance(output, tuple) else output)[0].clone()

        return hook

    handles = [layers[0].register_forward_pre_hook(keep_input)]
    handles += [
        layer.register_forward_hook(keep(f"blocks.{index}.hook_resid_post")) for index, layer in enumerate(layers)
    ]
    with torch.no_grad():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0]
    for handle in handles:
        handle.remove()
    return found, logits


def ranked(logits, log_probs, token):
    return {
        "token": token,
        "log_prob": log_probs[token].item(),
        "rank_at_least": (logits > logits[token] + NEAR).sum().item() + 1,
        "rank_at_most": (logits > logits[token] - NEAR).sum().item() + 1,
    }


def lens(model, ids):
    found, own = streams(model, ids)
    cells = []
    for position in sorted({len(ids) // 2, len(ids) - 1}):
        output = own[position].argmax().item()
        for site, stream in found.items():
            with torch.no_grad():
                logits = model.lm_head(model.model.norm(stream[position])).double()
            log_probs = logits.log_softmax(-1)
            top = log_probs.topk(TOP + 1)
            cells.append(
                {
                    "site": site,
                    "position": position,
                    "top": top.indices[:TOP].tolist(),
                    "top_log_probs": top.values[:TOP].tolist(),
                    # How far each is ahead of the one after it: of two that are near, either may come first.
                    "margins": (top.values[:-1] - top.values[1:]).tolist(),
                    "entropy": -(log_probs.exp() * log_probs).sum().item(),
                    "output": ranked(logits, log_probs, output),
                    "next": ranked(logits, log_probs, ids[position + 1]) if position + 1 < len(ids) else None,
                    "watched": [ranked(logits, log_probs, token) for token in WATCHED],
                }
            )
        last = torch.tensor([c["top_log_probs"] for c in cells if c["site"] == list(found)[-1]][-1])
        torch.testing.assert_close(last, own[position].double().log_softmax(-1).topk(TOP).values.float())
    return cells


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if sha256_of(arguments.model) != MODEL_SHA256:
        raise SystemExit(f"{arguments.model} is not the file of sha256 {MODEL_SHA256}")
    with open(os.path.join(HERE, "smollm2.json"), encoding="utf-8") as file:
        prompts = {entry["name"]: entry["prompt_ids"] for entry in json.load(file)["greedy"]}
    model = load_model(arguments.model)
    check_weights(model, arguments.model)
    document = {
        "about": "Written by logit_lens.py.",
        "watched": WATCHED,
        "prompts": [{"name": n, "ids": prompts[n], "cells": rounded(lens(model, prompts[n]))} for n in PROMPTS],
    }
    write_or_compare(os.path.join(HERE, "logit_lens.json"), document, arguments.check, 1e-3)


if __name__ == "__main__":
    main()
