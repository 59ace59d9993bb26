"""Reference numbers for activation patching, ablation, direct logit attribution and attention patterns on
SmolLM2-135M-Instruct (Q4_1), from Hugging Face transformers and forward hooks of its modules.

    python patching.py --model MODEL.gguf            # writes patching.json beside this script
    python patching.py --model MODEL.gguf --check    # compares instead, and says what differs

Weights dequantised to f32, f32 arithmetic, as in smollm2.py. Prompts are token ids; the test holds them against the
texts.
"""

import argparse
import contextlib
import json
import os

import torch

from common import rounded, write_or_compare
from smollm2 import HERE, MODEL_SHA256, check_weights, load_model, sha256_of

PAIRS = [
    {
        "name": "indirect object",
        "clean": "When Mary and John went to the store, John gave a drink to",
        "corrupt": "When Mary and John went to the store, Mary gave a drink to",
        "answer": " Mary",
        "wrong": " John",
        "clean_ids": [2427, 5099, 284, 2322, 3514, 288, 260, 4249, 28, 2322, 4502, 253, 5968, 288],
        "corrupt_ids": [2427, 5099, 284, 2322, 3514, 288, 260, 4249, 28, 5099, 4502, 253, 5968, 288],
        "answer_id": 5099,
        "wrong_id": 2322,
    },
    {
        "name": "capital",
        "clean": "The capital of France is",
        "corrupt": "The capital of Germany is",
        "answer": " Paris",
        "wrong": " Berlin",
        "clean_ids": [504, 3575, 282, 4649, 314],
        "corrupt_ids": [504, 3575, 282, 4521, 314],
        "answer_id": 7042,
        "wrong_id": 11452,
    },
]
LAYERS = [0, 15, 23]
HEAD_LAYERS = [2, 18, 23]
HEADS = [0, 3, 6, 8]
PLACES = ["resid-pre", "attn-out", "resid-mid", "mlp-out", "resid-post"]
ABLATED_HEADS = [(0, 1), (3, 8), (11, 0), (19, 4), (28, 6)]
ABLATED_MLPS = [0, 12, 29]
PATTERN_LAYER = 11
NEUTRAL_TOKENS = 40
# What the program's seed 1 gives: a token, then 24 random ones twice.
REPEATED = [
    17224, 21316, 42601, 19765, 28936, 34030, 5633, 12673, 41839, 31549, 27311, 596, 42294, 31867, 49055, 27125,
    6473, 624, 32736, 20434, 7478, 6170, 45189, 559, 17702, 21316, 42601, 19765, 28936, 34030, 5633, 12673, 41839,
    31549, 27311, 596, 42294, 31867, 49055, 27125, 6473, 624, 32736, 20434, 7478, 6170, 45189, 559, 17702,
]


def heads_of(model):
    return model.config.num_attention_heads


@contextlib.contextmanager
def hooked(handles):
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0].double()


def outermost(output):
    return output[0] if isinstance(output, tuple) else output


def replaced(output, new):
    return (new, *output[1:]) if isinstance(output, tuple) else new


class Run:
    """Every activation of a prompt that is patched or attributed: {place: [layers][tokens, width]}."""

    def __init__(self, model, ids):
        self.found = {place: [] for place in [*PLACES, "z"]}
        handles = []
        for layer in model.model.layers:
            handles.append(layer.register_forward_pre_hook(self.keep_input("resid-pre")))
            handles.append(layer.self_attn.o_proj.register_forward_pre_hook(self.keep_input("z")))
            handles.append(layer.self_attn.register_forward_hook(self.keep("attn-out")))
            handles.append(layer.post_attention_layernorm.register_forward_pre_hook(self.keep_input("resid-mid")))
            handles.append(layer.mlp.register_forward_hook(self.keep("mlp-out")))
            handles.append(layer.register_forward_hook(self.keep("resid-post")))
        with hooked(handles):
            self.logits = logits_of(model, ids)

    def keep(self, place):
        return lambda _module, _inputs, output: self.found[place].append(outermost(output)[0].clone())

    def keep_input(self, place):
        return lambda _module, inputs: self.found[place].append(inputs[0][0].clone())


def patched_logits(model, ids, place, layer, change):
    """Logits after `change(activation [tokens, width])` was applied in place at one place of one layer."""
    block = model.model.layers[layer]

    def on_output(_module, _inputs, output):
        new = outermost(output).clone()
        change(new[0])
        return replaced(output, new)

    def on_input(_module, inputs):
        new = inputs[0].clone()
        change(new[0])
        return (new, *inputs[1:])

    if place == "resid-mid":
        # The stream between attention and MLP is no module's output: attention is made to add what makes it so.
        entering = {}

        def keep_input(_module, inputs):
            entering["x"] = inputs[0].clone()

        def on_attention(_module, _inputs, output):
            middle = entering["x"] + outermost(output)
            change(middle[0])
            return replaced(output, middle - entering["x"])

        handles = [block.register_forward_pre_hook(keep_input), block.self_attn.register_forward_hook(on_attention)]
    else:
        handles = [
            {
                "resid-pre": lambda: block.register_forward_pre_hook(on_input),
                "z": lambda: block.self_attn.o_proj.register_forward_pre_hook(on_input),
                "attn-out": lambda: block.self_attn.register_forward_hook(on_output),
                "mlp-out": lambda: block.mlp.register_forward_hook(on_output),
                "resid-post": lambda: block.register_forward_hook(on_output),
            }[place]()
        ]
    with hooked(handles):
        return logits_of(model, ids)


def patching(model, pair):
    answer, wrong = pair["answer_id"], pair["wrong_id"]
    difference = lambda logits: (logits[-1, answer] - logits[-1, wrong]).item()
    runs = {which: Run(model, pair[f"{which}_ids"]) for which in ["clean", "corrupt"]}
    metrics = {which: difference(run.logits) for which, run in runs.items()}
    first = next(i for i, (a, b) in enumerate(zip(pair["clean_ids"], pair["corrupt_ids"])) if a != b)
    length, size = len(pair["clean_ids"]), model.config.hidden_size // heads_of(model)
    score = lambda metric: (metric - metrics["corrupt"]) / (metrics["clean"] - metrics["corrupt"])
    cells = []
    for direction, base, source in [("denoise", "corrupt", "clean"), ("noise", "clean", "corrupt")]:
        ids, other = pair[f"{base}_ids"], runs[source].found

        def cell(site, place, layer, column, rows, columns):
            values = other[place][layer]

            def change(x):
                x[rows, columns] = values[rows, columns]

            metric = difference(patched_logits(model, ids, place, layer, change))
            cells.append(
                {
                    "site": site,
                    "direction": direction,
                    "layer": layer,
                    "column": column,
                    "metric": metric,
                    "score": score(metric),
                }
            )

        for layer in LAYERS:
            for place in PLACES:
                for position in sorted({first, length - 1}):
                    cell(place, place, layer, position, slice(position, position + 1), slice(None))
        for layer in HEAD_LAYERS:
            for head in HEADS:
                columns = slice(head * size, (head + 1) * size)
                cell("heads", "z", layer, head, slice(None), columns)
                cell("heads-at-last", "z", layer, head, slice(length - 1, length), columns)
    return {
        "name": pair["name"],
        "clean": pair["clean"],
        "corrupt": pair["corrupt"],
        "answer": pair["answer"],
        "wrong": pair["wrong"],
        "clean_ids": pair["clean_ids"],
        "corrupt_ids": pair["corrupt_ids"],
        "answer_id": answer,
        "wrong_id": wrong,
        "clean_metric": metrics["clean"],
        "corrupt_metric": metrics["corrupt"],
        "first_difference": first,
        "cells": cells,
        "attribution": attribution(model, runs["clean"], answer, wrong),
    }


def attribution(model, run, answer, wrong):
    """What each part adds to the logit difference at the last token; the parts add up to it."""
    last, norm = run.found["resid-post"][-1][-1].double(), model.model.norm
    scale = (last.pow(2).mean() + norm.variance_epsilon).sqrt()
    unembedding = model.lm_head.weight.double()
    direction = norm.weight.double() * (unembedding[answer] - unembedding[wrong]) / scale
    size = model.config.hidden_size // heads_of(model)
    heads = []
    for layer, z in enumerate(run.found["z"]):
        out = model.model.layers[layer].self_attn.o_proj.weight.double()
        parts = [slice(head * size, (head + 1) * size) for head in range(heads_of(model))]
        heads.append([(out[:, part] @ z[-1, part].double() @ direction).item() for part in parts])
    found = {
        "logit_difference": (run.logits[-1, answer] - run.logits[-1, wrong]).item(),
        "embedding": (run.found["resid-pre"][0][-1].double() @ direction).item(),
        "heads": heads,
        "mlps": [(out[-1].double() @ direction).item() for out in run.found["mlp-out"]],
    }
    total = found["embedding"] + sum(map(sum, heads)) + sum(found["mlps"])
    if abs(total - found["logit_difference"]) > 1e-3:
        raise SystemExit(f"the parts add up to {total}, not to {found['logit_difference']}")
    return found


def nll(logits, ids):
    """Mean negative log probability of all tokens but the first."""
    log_probs = logits.log_softmax(-1)
    return -sum(log_probs[at, token].item() for at, token in enumerate(ids[1:])) / (len(ids) - 1)


def ablation(model, pair, neutral):
    ids, answer, wrong = pair["clean_ids"], pair["answer_id"], pair["wrong_id"]
    difference = lambda logits: (logits[-1, answer] - logits[-1, wrong]).item()
    run, size = Run(model, neutral), model.config.hidden_size // heads_of(model)
    plain, plain_nll = difference(logits_of(model, ids)), nll(run.logits, neutral)
    ablations = []

    def ablate(replacement, what, place, layer, columns, head):
        mean = run.found[place][layer][1:, columns].double().mean(0).float()

        def change(x):
            x[:, columns] = 0 if replacement == "zero" else mean

        ablations.append(
            {
                "by": replacement,
                "part": what,
                "layer": layer,
                "head": head,
                "metric": difference(patched_logits(model, ids, place, layer, change)) - plain,
                "perplexity": torch.tensor(
                    nll(patched_logits(model, neutral, place, layer, change), neutral) - plain_nll
                )
                .double()
                .exp()
                .item(),
            }
        )

    for replacement in ["zero", "mean"]:
        for layer, head in ABLATED_HEADS:
            ablate(replacement, "head", "z", layer, slice(head * size, (head + 1) * size), head)
        for layer in ABLATED_MLPS:
            ablate(replacement, "mlp", "mlp-out", layer, slice(None), None)
    return {
        "pair": pair["name"],
        "neutral_ids": neutral,
        "metric": plain,
        "perplexity": torch.tensor(plain_nll).double().exp().item(),
        "ablations": ablations,
    }


def patterns(model, ids):
    """Attention of every layer, [heads, queries, keys]."""
    with torch.no_grad():
        return [layer[0].double() for layer in model(torch.tensor([ids]), output_attentions=True).attentions]


def head_scores(model, ids):
    """By layer and head: the mean attention, over the second half, to certain tokens."""
    period, found = (len(ids) - 1) // 2, []
    for layer in patterns(model, ids):
        for head in layer:
            queries = range(period + 1, len(ids))
            mean = lambda key: sum(head[at, key(at)].item() for at in queries) / period
            found.append([mean(lambda at: at - 1), mean(lambda at: 0), mean(lambda at: at - period)])
            found[-1].append(mean(lambda at: at - period + 1))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if sha256_of(arguments.model) != MODEL_SHA256:
        raise SystemExit(f"{arguments.model} is not the file of sha256 {MODEL_SHA256}")
    with open(os.path.join(HERE, "smollm2.json"), encoding="utf-8") as file:
        neutral = json.load(file)["perplexity"]["ids"][:NEUTRAL_TOKENS]
    model = load_model(arguments.model)
    check_weights(model, arguments.model)
    triangle = [
        [row[: at + 1].tolist() for at, row in enumerate(head)]
        for head in patterns(model, PAIRS[0]["clean_ids"])[PATTERN_LAYER]
    ]
    document = {
        "about": "Written by patching.py.",
        "pairs": rounded([patching(model, pair) for pair in PAIRS]),
        "ablation": rounded(ablation(model, PAIRS[0], neutral)),
        "pattern": rounded({"layer": PATTERN_LAYER, "heads": triangle}, 5),
        "repeated_ids": REPEATED,
        "head_scores": rounded(head_scores(model, REPEATED), 5),
    }
    write_or_compare(os.path.join(HERE, "patching.json"), document, arguments.check, 1e-3)


if __name__ == "__main__":
    main()
