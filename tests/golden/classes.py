"""Reference probes of several classes: scikit-learn's LogisticRegression, and one hidden layer by torch's Adam.

    python classes.py            # writes classes.json beside this script
    python classes.py --check    # compares instead, and says what differs

Made-up activations, standardised before the fit; weights and biases are brought back to raw ones. scikit-learn leaves the
biases' common part where it started, at 0. The hidden layer's weights begin at numbers of splitmix64. f64 arithmetic.
"""

import argparse
import os

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from common import rounded, write_or_compare

HERE = os.path.dirname(os.path.abspath(__file__))
C = 0.5
# Texts, width, classes.
CASES = [(60, 12, 3), (40, 96, 4), (90, 40, 5)]


HIDDEN, STEPS, RATE, PENALTY, SEED = 6, 40, 0.02, 0.01, 5


def uniform(i):
    """Number i of splitmix64's sequence, within -1 and 1."""
    whole = (1 << 64) - 1
    z = (SEED + 0x9E3779B97F4A7C15 * (i + 1)) & whole
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & whole
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & whole
    return 2 * ((z ^ (z >> 31)) >> 11) / 2**53 - 1


def mlp(scaled, labels, classes):
    """Probabilities of all texts after some steps of Adam; weights lie row by row, each row's bias after it."""
    width, at, layers = scaled.shape[1], 0, []
    for rows, inputs, bound in [(HIDDEN, width, (6 / width) ** 0.5), (classes, HIDDEN, (3 / HIDDEN) ** 0.5)]:
        weights = [[bound * uniform(at + r * (inputs + 1) + i) for i in range(inputs)] for r in range(rows)]
        layers += [torch.tensor(weights, dtype=torch.float64), torch.zeros(rows, dtype=torch.float64)]
        at += rows * (inputs + 1)
    for layer in layers:
        layer.requires_grad_()
    x, y = torch.from_numpy(scaled), torch.from_numpy(labels)
    adam = torch.optim.Adam(layers, lr=RATE)

    def scores():
        return torch.relu(x @ layers[0].T + layers[1]) @ layers[2].T + layers[3]

    for _ in range(STEPS):
        adam.zero_grad()
        squares = layers[0].square().sum() + layers[2].square().sum()
        (torch.nn.functional.cross_entropy(scores(), y) + PENALTY / 2 * squares).backward()
        adam.step()
    return scores().softmax(-1).detach()[:8].tolist()


def case(seed, count, width, classes):
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, size=count - classes)])
    middles = random.normal(size=(classes, width))
    rows = random.normal(size=(count, width)) * np.exp(random.normal(size=width)) + 0.8 * middles[labels]
    rows = np.vectorize(lambda x: float(f"{x:.6g}"))(rows + 3 * random.normal(size=width)).astype(np.float32)
    wide = rows.astype(np.float64)
    scaler = StandardScaler().fit(wide)
    probe = LogisticRegression(C=C, solver="newton-cg", tol=1e-12, max_iter=100_000).fit(scaler.transform(wide), labels)
    weights = probe.coef_ / scaler.scale_
    biases = probe.intercept_ - weights @ scaler.mean_
    return {
        "width": width,
        "classes": classes,
        "rows": rows.astype(np.float64).flatten().tolist(),
        "labels": labels.tolist(),
        "weights": weights.tolist(),
        "biases": (biases - biases.mean()).tolist(),
        # Of few texts ours learns in other coordinates, in which Adam steps differently.
        "mlp": mlp(scaler.transform(wide), labels, classes) if 2 * count > width else None,
        "probabilities": probe.predict_proba(scaler.transform(wide))[:8].tolist(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    document = {"about": "Written by classes.py.", "c": C}
    document["mlp"] = {"hidden": HIDDEN, "steps": STEPS, "learning_rate": RATE, "penalty": PENALTY, "seed": SEED}
    document["cases"] = rounded([case(seed, *what) for seed, what in enumerate(CASES)], 9)
    write_or_compare(os.path.join(HERE, "classes.json"), document, arguments.check, 1e-5)


if __name__ == "__main__":
    main()
