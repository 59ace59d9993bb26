"""Reference numbers for the search over layers and strengths on SmolLM2-135M-Instruct (Q4_1), from transformers.

    python grid.py --model MODEL.gguf            # writes grid.json beside this script
    python grid.py --model MODEL.gguf --check    # compares instead, and says what differs

Weights dequantised to f32, f32 arithmetic, as in smollm2.py. The direction of a layer is the mean difference of the
pairs at even places, read after its block at the last token, at unit length; it is added after the block at every token, times
strength times the mean length of the streams it was read from. Effects are differences of log probabilities of the
texts' tokens after the first, positive less negative, steered less plain. The neutral text's first quarter counts as
given: its perplexity is that of the rest.
"""

import argparse
import os

import torch

from common import rounded, write_or_compare
from smollm2 import HERE, MODEL_SHA256, check_weights, load_model, sha256_of

# Cheerful and gloomy texts, as token ids.
PAIRS = [
    ([57, 40652, 614, 4330, 8264, 284, 2073, 282, 7697], [57, 40652, 614, 4330, 13321, 284, 2073, 282, 21836]),
    ([504, 4732, 436, 18260, 284, 2573, 31058], [504, 4732, 436, 32706, 284, 2573, 31592]),
    ([1780, 253, 3953, 28, 5681, 284, 5587, 5738], [1780, 354, 26983, 28, 3605, 284, 8177, 5738]),
    ([8113, 18628, 975, 3117, 3514, 588, 876], [8113, 392, 437, 975, 3117, 3514, 588, 17279]),
    ([57, 2606, 451, 40590, 1838, 4956, 588, 1083], [57, 13735, 451, 46978, 1838, 4956, 588, 1083]),
    ([5425, 9937, 436, 5485, 284, 392, 592, 588, 5587], [5425, 9937, 436, 29696, 284, 392, 592, 588, 25107]),
    ([3681, 314, 31623, 284, 18044, 563, 260, 3661], [3681, 314, 28671, 284, 14568, 563, 260, 3661]),
    ([504, 1122, 4944, 22698, 281, 260, 24505], [504, 1122, 2643, 31504, 281, 260, 4011, 5249]),
]
# Some plain sentences about granite.
NEUTRAL = [
    55, 3347, 663, 314, 253, 23327, 29, 39368, 4022, 338, 2717, 645, 28578, 33381, 6351, 2441, 260, 2376, 282, 260,
    3103, 30, 657, 5956, 5630, 282, 24802, 28, 22445, 931, 1095, 284, 283, 4127, 28, 284, 624, 7302, 10186, 429, 2537,
    288, 11986, 284, 13917, 30, 4651, 357, 314, 1759, 284, 47674, 3947, 28, 24239, 457, 804, 357, 327, 12223, 28,
    24561, 8989, 284, 260, 5780, 282, 1507, 4789, 30, 378, 5692, 314, 2304, 429, 24135, 1333, 281, 6703, 28, 743, 839,
    618, 39261, 284, 26048, 351, 4979, 26942, 30,
]
LAYERS = [8, 20]
STRENGTHS = [-0.1, 0.1, 0.25]
COMPARED = 16


def run(model, ids, at=None, vector=None):
    """Log probabilities after each token and the output of each block, with `vector` added after block `at`."""
    outputs = {}

    def hook(index):
        def keep(_module, _inputs, output):
            stream = output[0] if isinstance(output, tuple) else output
            if index == at:
                stream += vector
            outputs[index] = stream[0].clone()

        return keep

    handles = [layer.register_forward_hook(hook(index)) for index, layer in enumerate(model.model.layers)]
    with torch.no_grad():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0].double()
    for handle in handles:
        handle.remove()
    return logits.log_softmax(-1), outputs


def of_tokens(log_probs, ids, first=1):
    """The log probability of the tokens from `first` on."""
    return sum(log_probs[position - 1, ids[position]].item() for position in range(first, len(ids)))


def log_odds(model, pair, **steering):
    positive, negative = (of_tokens(run(model, ids, **steering)[0], ids) for ids in pair)
    return positive - negative


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if sha256_of(arguments.model) != MODEL_SHA256:
        raise SystemExit(f"{arguments.model} is not the file of sha256 {MODEL_SHA256}")
    model = load_model(arguments.model)
    check_weights(model, arguments.model)

    choosing, reporting = PAIRS[0::2], PAIRS[1::2]
    opening = len(NEUTRAL) // 4
    places = range(opening - 1, len(NEUTRAL) - 1)
    places = places[:: -(-len(places) // COMPARED)]
    plain_neutral, _ = run(model, NEUTRAL)
    perplexity = lambda log_probs: float(
        torch.tensor(-of_tokens(log_probs, NEUTRAL, opening) / (len(NEUTRAL) - opening)).exp()
    )
    streams = [[run(model, ids)[1] for ids in pair] for pair in choosing]
    plain = {"choosing": [log_odds(model, p) for p in choosing], "reporting": [log_odds(model, p) for p in reporting]}

    cells = []
    for layer in LAYERS:
        ends = [[stream[layer][-1] for stream in pair] for pair in streams]
        direction = torch.stack([positive - negative for positive, negative in ends]).mean(0)
        typical = torch.stack([end for pair in ends for end in pair]).norm(dim=-1).mean()
        for strength in STRENGTHS:
            vector = direction / direction.norm() * typical * strength
            steered = {
                name: [log_odds(model, pair, at=layer, vector=vector) for pair in pairs]
                for name, pairs in (("choosing", choosing), ("reporting", reporting))
            }
            neutral, _ = run(model, NEUTRAL, at=layer, vector=vector)
            kl = [(neutral[at].exp() * (neutral[at] - plain_neutral[at])).sum().item() for at in places]
            gains = {name: [s - p for s, p in zip(steered[name], plain[name])] for name in plain}
            cells.append({
                "layer": layer,
                "strength": strength,
                "effect": sum(gains["choosing"]) / len(choosing),
                "reported": gains["reporting"],
                "perplexity": perplexity(neutral),
                "divergence": sum(kl) / len(kl),
            })
    document = {
        "about": "Written by grid.py.",
        "pairs": [{"positive": positive, "negative": negative} for positive, negative in PAIRS],
        "neutral": NEUTRAL,
        "layers": LAYERS,
        "strengths": STRENGTHS,
        "perplexity_plain": rounded(perplexity(plain_neutral)),
        "cells": rounded(cells),
    }
    write_or_compare(os.path.join(HERE, "grid.json"), document, arguments.check, 1e-3)


if __name__ == "__main__":
    main()
