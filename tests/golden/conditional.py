"""Reference numbers for conditions of steering (CAST, Lee et al. 2024) on SmolLM2-135M-Instruct (Q4_1), from
transformers and scikit-learn.

    python conditional.py --model MODEL.gguf            # writes conditional.json beside this script
    python conditional.py --model MODEL.gguf --check    # compares instead, and says what differs

Weights dequantised to f32, f32 arithmetic, as in smollm2.py. Activations are of the last token of each prompt, at the
outputs of some blocks. A condition vector is scikit-learn's first principal component of the prompts at even places,
each pair around its middle, as the paper's `pca_pairwise` has it. What is compared is the cosine of h and tanh(P h),
element by element; the threshold is the one of the largest F1 of all that lie between two neighbouring scores, found by
trying each. What is reported is of the prompts at odd places.
"""

import argparse
import os

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import f1_score

from common import rounded, write_or_compare
from smollm2 import HERE, MODEL_SHA256, check_weights, load_model, sha256_of

# Of cooking, and of other things, as token ids.
MATCHING = [
    [2020, 536, 339, 919, 253, 2232, 17048, 14562, 47],
    [1780, 416, 339, 4857, 351, 29579, 7341, 47],
    [2020, 986, 868, 339, 17663, 354, 3785, 47],
    [26533, 549, 253, 11594, 327, 45137, 30],
    [2020, 536, 339, 1446, 19904, 429, 21647, 1592, 47],
    [1780, 14888, 685, 876, 351, 36722, 9610, 47],
    [2020, 536, 339, 26975, 253, 42126, 282, 6956, 418, 1478, 47],
    [1780, 314, 260, 1450, 970, 288, 30962, 18608, 47],
    [7306, 346, 1820, 253, 2365, 11494, 351, 12126, 47],
    [2020, 536, 339, 919, 957, 1038, 19039, 20715, 47],
    [1780, 868, 339, 536, 645, 957, 14124, 314, 1147, 5607, 47],
    [2020, 536, 339, 36722, 5136, 281, 260, 14571, 47],
    [26533, 549, 354, 2359, 327, 253, 3091, 13848, 30],
    [2020, 536, 339, 35381, 2698, 1355, 15193, 357, 578, 47],
    [1780, 314, 253, 1123, 11594, 327, 10103, 40146, 47],
    [2020, 536, 339, 35496, 8549, 411, 1369, 47],
]
OTHER = [
    [2020, 536, 339, 1363, 253, 5562, 19018, 883, 257, 47],
    [1780, 416, 339, 536, 351, 354, 1573, 10059, 47],
    [2020, 986, 1072, 357, 1188, 288, 6917, 288, 3085, 47],
    [26533, 549, 253, 1252, 327, 1380, 260, 15987, 30],
    [2020, 536, 339, 1446, 957, 10917, 429, 2967, 27963, 47],
    [1780, 14797, 685, 876, 351, 253, 13917, 588, 12155, 47],
    [2020, 536, 339, 7670, 253, 4923, 418, 1478, 47],
    [1780, 314, 260, 1450, 970, 288, 835, 725, 1924, 47],
    [7306, 346, 1820, 253, 2365, 4549, 2141, 253, 4626, 47],
    [2020, 536, 339, 2965, 957, 1038, 1890, 1977, 47],
    [1780, 868, 339, 536, 645, 957, 5460, 314, 1147, 2890, 47],
    [2020, 536, 339, 1783, 5504, 281, 260, 4480, 47],
    [26533, 549, 354, 2359, 327, 253, 15208, 4732, 30],
    [2020, 536, 339, 1188, 6469, 418, 3163, 1355, 39984, 601, 47],
    [1780, 314, 253, 1123, 1863, 563, 260, 4469, 11022, 47],
    [2020, 536, 339, 15805, 253, 24051, 411, 1369, 47],
]
LAYERS = [4, 12, 20]


def last_tokens(model, ids):
    """The output of each block at the last token."""
    outputs = {}

    def hook(index):
        def keep(_module, _inputs, output):
            stream = output[0] if isinstance(output, tuple) else output
            outputs[index] = stream[0, -1].double().numpy()

        return keep

    handles = [model.model.layers[index].register_forward_hook(hook(index)) for index in LAYERS]
    with torch.no_grad():
        model(torch.tensor([ids]), use_cache=False)
    for handle in handles:
        handle.remove()
    return outputs


def score(h, vector):
    projection = np.outer(vector, vector) / (vector @ vector)
    other = np.tanh(projection @ h)
    return (h @ other) / (np.linalg.norm(h) * np.linalg.norm(other))


def search(scores, labels):
    """The threshold and side of the largest F1; of equals, in the widest gap."""
    ordered = np.sort(scores)
    best = None
    for low, high in zip(ordered, ordered[1:]):
        at = (low + high) / 2
        for above in (True, False):
            holds = scores > at if above else scores < at
            found = (f1_score(labels, holds, zero_division=0), (high - low) / ordered.std())
            if best is None or found > best[0]:
                best = (found, at, above)
    (f1, gap), at, above = best
    return {"f1": float(f1), "gap": float(gap), "threshold": float(at), "above": bool(above)}


def layer(activations, index):
    positive, negative = (np.stack([each[index] for each in kind]) for kind in activations)
    half = slice(0, None, 2)
    middle = (positive[half] + negative[half]) / 2
    pca = PCA(n_components=1).fit(np.concatenate([positive[half] - middle, negative[half] - middle]))
    vector = pca.components_[0]
    scores = [np.array([score(h, vector) for h in kind]) for kind in (positive, negative)]
    labels = np.repeat([True, False], len(positive) // 2)
    found = search(np.concatenate([kind[half] for kind in scores]), labels)
    holds = [kind[1::2] > found["threshold"] if found["above"] else kind[1::2] < found["threshold"] for kind in scores]
    return {
        "layer": index,
        **found,
        "explained": float(pca.explained_variance_ratio_[0]),
        "vector": [float(abs(vector[i])) for i in range(0, len(vector), 36)],
        "scores": [kind.tolist() for kind in scores],
        "reported": [int(kind.sum()) for kind in holds],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if sha256_of(arguments.model) != MODEL_SHA256:
        raise SystemExit(f"{arguments.model} is not the file of sha256 {MODEL_SHA256}")
    model = load_model(arguments.model)
    check_weights(model, arguments.model)

    activations = [[last_tokens(model, ids) for ids in kind] for kind in (MATCHING, OTHER)]
    found = {"matching": MATCHING, "other": OTHER, "layers": [layer(activations, index) for index in LAYERS]}
    write_or_compare(os.path.join(HERE, "conditional.json"), rounded(found), arguments.check, 1e-4)


if __name__ == "__main__":
    main()
