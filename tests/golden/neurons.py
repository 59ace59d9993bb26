"""Reference value vectors and vocabulary directions of SmolLM2-135M-Instruct (Q4_1), from Hugging Face transformers.

    python neurons.py --model MODEL.gguf            # writes neurons.json beside this script
    python neurons.py --model MODEL.gguf --check    # compares instead, and says what differs

Weights dequantised to f32, f32 arithmetic, as in smollm2.py. A value vector is a column of `down_proj`; at a root mean
square of one it goes through the model's own final norm and `lm_head`. Activations are what `down_proj` gets. A
vocabulary direction is the difference of two rows of `lm_head`, times the final norm's weight.
"""

import argparse
import json
import os

import torch

from common import rounded, write_or_compare
from smollm2 import HERE, MODEL_SHA256, check_weights, load_model, sha256_of

PROMPT = "france"
LAYERS = [3, 26]
NEURONS = [0, 700, 1535]
TOP = 6
# " good", " bad"; " Paris", " London".
PAIRS = [[1123, 3309], [7042, 4528]]


def written(model, layer, neuron):
    vector = model.model.layers[layer].mlp.down_proj.weight[:, neuron].double()
    unit = vector / vector.norm() * len(vector) ** 0.5
    with torch.no_grad():
        logits = model.lm_head(model.model.norm(unit.float())).double()
    raises, lowers = logits.topk(TOP + 1), (-logits).topk(TOP + 1)
    near = (logits - logits.mean()) / logits.std(correction=0)
    return {
        "neuron": neuron,
        "norm": vector.norm().item(),
        "first": vector[:4].tolist(),
        "raises": raises.indices[:TOP].tolist(),
        "raises_logits": raises.values[:TOP].tolist(),
        "raises_margins": (raises.values[:-1] - raises.values[1:]).tolist(),
        "lowers": lowers.indices[:TOP].tolist(),
        "lowers_logits": (-lowers.values[:TOP]).tolist(),
        "lowers_margins": (lowers.values[:-1] - lowers.values[1:]).tolist(),
        # Of the words of the first pair.
        "z": near[PAIRS[0]].mean().item(),
    }


def activity(model, layer, ids):
    mlp, kept = model.model.layers[layer].mlp, []
    handle = mlp.down_proj.register_forward_pre_hook(lambda _module, inputs: kept.append(inputs[0][0, -1].clone()))
    with torch.no_grad():
        model(torch.tensor([ids]), use_cache=False)
    handle.remove()
    lengths = kept[0].double().abs() * mlp.down_proj.weight.double().norm(dim=0)
    top = lengths.topk(TOP)
    return {
        "neurons": top.indices.tolist(),
        "written": top.values.tolist(),
        "activations": kept[0][top.indices].tolist(),
    }


def direction(model, toward, away):
    with torch.no_grad():
        made = (model.lm_head.weight[toward].double() - model.lm_head.weight[away]) * model.model.norm.weight
    return {"toward": toward, "away": away, "norm": made.norm().item(), "direction": made.tolist()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if sha256_of(arguments.model) != MODEL_SHA256:
        raise SystemExit(f"{arguments.model} is not the file of sha256 {MODEL_SHA256}")
    with open(os.path.join(HERE, "smollm2.json"), encoding="utf-8") as file:
        ids = {entry["name"]: entry["prompt_ids"] for entry in json.load(file)["greedy"]}[PROMPT]
    model = load_model(arguments.model)
    check_weights(model, arguments.model)
    layers = [
        {
            "layer": layer,
            "neurons": [written(model, layer, neuron) for neuron in NEURONS],
            "active": activity(model, layer, ids),
        }
        for layer in LAYERS
    ]
    document = {
        "about": "Written by neurons.py.",
        "ids": ids,
        "layers": rounded(layers),
        "directions": rounded([direction(model, *pair) for pair in PAIRS]),
    }
    write_or_compare(os.path.join(HERE, "neurons.json"), document, arguments.check, 1e-4)


if __name__ == "__main__":
    main()
