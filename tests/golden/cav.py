"""Reference numbers for concept activation vectors: Welch's test by scipy, derivatives along directions by torch.

    python cav.py            # writes cav.json beside this script
    python cav.py --check    # compares instead, and says what differs

Derivatives are of the difference of two logits after the last token, by the output of a block at that token, in f64, on
three of the tiny models of `architectures`. The vectors themselves are logistic regressions, which `directions.py` and
`probes.py` hold against scikit-learn.
"""

import argparse
import json
import os

import numpy as np
import torch
from scipy.stats import ttest_ind
from transformers import AutoModelForCausalLM

from common import rounded, write_or_compare

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = ["llama3", "gpt2", "gemma2"]
ANSWER, WRONG, DIRECTIONS = 7, 90, 3


def welch(seed, first, second, apart, spread):
    random = np.random.default_rng(seed)
    a, b = random.normal(apart, 1, first), random.normal(0, spread, second)
    found = ttest_ind(a, b, equal_var=False)
    return {"first": a.tolist(), "second": b.tolist(), "t": found.statistic, "freedom": found.df, "p": found.pvalue}


def direction(n, width):
    i = torch.arange(width, dtype=torch.float64)
    raw = torch.sin(1.0 + i * (n + 1))
    return raw / raw.norm()


def derivatives(name):
    folder = os.path.join(HERE, "architectures", name)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
    base = getattr(model, "transformer", None) or model.model
    blocks = base.h if hasattr(base, "h") else base.layers
    with open(os.path.join(folder, "golden.json"), encoding="utf-8") as file:
        ids = json.load(file)["greedy"]["prompt_ids"]
    found = []
    for layer, block in enumerate(blocks):
        kept = {}

        def keep(_module, _inputs, output):
            stream = output[0] if isinstance(output, tuple) else output
            stream.retain_grad()
            kept["stream"] = stream

        handle = block.register_forward_hook(keep)
        logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
        (logits[ANSWER] - logits[WRONG]).backward()
        handle.remove()
        gradient = kept["stream"].grad.reshape(-1, kept["stream"].shape[-1])[-1]
        along = [(gradient @ direction(n, len(gradient))).item() for n in range(DIRECTIONS)]
        found.append({"layer": layer, "gradient": gradient.norm().item(), "along": along})
    return {"model": name, "layers": found}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    samples = [(0, 20, 20, 1.0, 1.0), (1, 20, 20, 0.0, 3.0), (2, 3, 8, -2.0, 0.1), (3, 30, 25, 6.0, 0.5)]
    document = {"about": "Written by cav.py.", "answer": ANSWER, "wrong": WRONG}
    document["welch"] = rounded([welch(*sample) for sample in samples], 12)
    document["derivatives"] = rounded([derivatives(name) for name in MODELS])
    write_or_compare(os.path.join(HERE, "cav.json"), document, arguments.check, 1e-6)


if __name__ == "__main__":
    main()
