"""Reference function vectors on SmolLM2-135M-Instruct (Q4_1), from Hugging Face transformers.

    python function_vector.py --model MODEL.gguf            # writes function_vector.json beside this script
    python function_vector.py --model MODEL.gguf --check    # compares instead, and says what differs

Weights dequantised to f32, f32 arithmetic, as in smollm2.py. The vector of a layer is the mean output of its block at the
last token of prompts that demonstrate a task, less the mean after the same prompts with the demonstrated outputs
exchanged. It is added there at the last token of prompts without demonstrations.
"""

import argparse
import os

import torch
import transformers

from common import rounded, write_or_compare
from smollm2 import HERE, MODEL_SHA256, check_weights, load_model, sha256_of

# The first eight make the vector, the others are asked.
PAIRS = [
    ("hot", "cold"), ("big", "small"), ("up", "down"), ("fast", "slow"), ("happy", "sad"), ("old", "young"),
    ("light", "dark"), ("open", "closed"), ("high", "low"), ("rich", "poor"), ("strong", "weak"), ("good", "bad"),
]
MAKING = 8
DEMONSTRATIONS = 4
LAYERS = [7, 14]
STRENGTHS = [1.0, 2.0]


def prompt(demonstrations, query):
    return "".join(f"Q: {x}\nA: {y}\n\n" for x, y in demonstrations) + f"Q: {query}\nA:"


def after(number, shuffle):
    """A query after demonstrations by pairs that follow it."""
    chosen = [PAIRS[(number + n) % MAKING] for n in range(1, DEMONSTRATIONS + 1)]
    if number >= MAKING:
        chosen = [PAIRS[(2 * number + n) % MAKING] for n in range(DEMONSTRATIONS)]
    if shuffle:
        chosen = [(x, chosen[(n + 1) % len(chosen)][1]) for n, (x, _) in enumerate(chosen)]
    return prompt(chosen, PAIRS[number][0])


def run(model, ids, at=None, vector=None):
    """Logits after the last token, and the output of each block there, with `vector` added at it after block `at`."""
    outputs = {}

    def hook(index):
        def keep(_module, _inputs, output):
            stream = output[0] if isinstance(output, tuple) else output
            if index == at:
                stream[0, -1] += vector
            outputs[index] = stream[0, -1].clone()

        return keep

    handles = [layer.register_forward_hook(hook(index)) for index, layer in enumerate(model.model.layers)]
    with torch.no_grad():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1].double()
    for handle in handles:
        handle.remove()
    return logits, outputs


def answered(model, queries, **steering):
    found = []
    for query in queries:
        logits, _ = run(model, query["prompt"], **steering)
        found.append((float(logits.argmax().item() == query["answer"]), logits.log_softmax(-1)[query["answer"]].item()))
    accuracy, log_prob = torch.tensor(found, dtype=torch.float64).mean(0).tolist()
    return {"accuracy": accuracy, "log_prob": log_prob}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if sha256_of(arguments.model) != MODEL_SHA256:
        raise SystemExit(f"{arguments.model} is not the file of sha256 {MODEL_SHA256}")
    model = load_model(arguments.model)
    check_weights(model, arguments.model)
    folder, name = os.path.split(os.path.abspath(arguments.model))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name)
    # The model wants nothing before a text.
    ids = lambda text: tokenizer.encode(text, add_special_tokens=False)
    query = lambda number, text: {"prompt": ids(text), "answer": ids(" " + PAIRS[number][1])[0]}

    making, asking = range(MAKING), range(MAKING, len(PAIRS))
    demonstrated = [ids(after(n, False)) for n in making]
    shuffled = [ids(after(n, True)) for n in making]
    choosing = [query(n, prompt([], PAIRS[n][0])) for n in making]
    reporting = [query(n, prompt([], PAIRS[n][0])) for n in asking]
    reporting_demonstrated = [query(n, after(n, False)) for n in asking]
    reporting_shuffled = [query(n, after(n, True)) for n in asking]

    ends = [[run(model, text)[1] for text in texts] for texts in (demonstrated, shuffled)]
    vectors = {at: torch.stack([e[at] for e in ends[0]]).mean(0) - torch.stack([e[at] for e in ends[1]]).mean(0) for at in LAYERS}
    cells = [
        {"layer": at, "strength": strength, **answered(model, choosing, at=at, vector=vectors[at] * strength)}
        for at in LAYERS
        for strength in STRENGTHS
    ]
    best = max(cells, key=lambda cell: (cell["accuracy"], cell["log_prob"]))
    vector = vectors[best["layer"]]
    lens = 0
    for entry in reporting_demonstrated:
        stream = run(model, entry["prompt"])[1][best["layer"]]
        with torch.no_grad():
            lens += model.lm_head(model.model.norm(stream)).argmax().item() == entry["answer"]
    with torch.no_grad():
        writes = model.lm_head(model.model.norm(vector / vector.norm() * len(vector) ** 0.5)).topk(10)
    document = {
        "about": "Written by function_vector.py.",
        "layers": LAYERS,
        "strengths": STRENGTHS,
        "demonstrated": demonstrated,
        "shuffled": shuffled,
        "choosing": choosing,
        "reporting": reporting,
        "reporting_demonstrated": reporting_demonstrated,
        "reporting_shuffled": reporting_shuffled,
        "cells": rounded(cells),
        "chosen": rounded({"layer": best["layer"], "strength": best["strength"], "norm": vector.norm().item()}),
        "reported": rounded({
            "demonstrated": answered(model, reporting_demonstrated),
            "shuffled": answered(model, reporting_shuffled),
            "plain": answered(model, reporting),
            "steered": answered(model, reporting, at=best["layer"], vector=vector * best["strength"]),
        }),
        "lens": lens / len(reporting),
        "writes": writes.indices.tolist(),
        "writes_logits": rounded(writes.values.tolist()),
    }
    write_or_compare(os.path.join(HERE, "function_vector.json"), document, arguments.check, 1e-3)


if __name__ == "__main__":
    main()
