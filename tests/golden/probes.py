"""Reference probes and erasures, by scikit-learn and by the concept-erasure package.

    python probes.py --model MODEL.gguf            # writes probes.json beside this script
    python probes.py --model MODEL.gguf --check    # compares instead, and says what differs

Made-up activations, of which some numbers are far larger than others and some texts far fewer than numbers, are in the
file. Of SmolLM2's, only the texts are: of its residual stream after block 15, at each text's last token, probes are
fitted to the first texts and applied to the others. All is computed in f64, from the same f32 numbers.
"""

import argparse
import os
import warnings

import numpy as np
import torch
import transformers
from concept_erasure import LeaceFitter
from sklearn.covariance import ledoit_wolf_shrinkage, shrunk_covariance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, log_loss, roc_auc_score
from sklearn.preprocessing import StandardScaler

from common import rounded, write_or_compare
from smollm2 import HERE, MODEL_SHA256, check_weights, load_model, sha256_of

# Texts, width, share of positive texts.
CASES = [(40, 12, 0.5), (24, 80, 0.4), (60, 70, 0.5)]
C = 0.5
ALPHA = 3.0
SHRINKAGE = 0.2
SITE = 15
FOODS = ["soup", "bread", "cake", "rice", "fish", "tea", "salad", "cheese"]
FRAMES = ["The {} was truly {}.", "I thought that the {} tasted {}.", "Everyone said the {} seemed {}."]
WORDS = [("delicious", "disgusting"), ("wonderful", "awful")]


def texts():
    """Texts with labels: the last frame's are held out."""
    made = []
    for frame in FRAMES:
        for number, food in enumerate(FOODS):
            good, bad = WORDS[number % 2]
            made += [(frame.format(food, good), True), (frame.format(food, bad), False)]
    return made


def made_up(seed, count, width, share):
    random = np.random.default_rng(seed)
    labels = np.arange(count) < share * count
    random.shuffle(labels)
    rows = random.normal(size=(count, width)) * np.exp(random.normal(size=width))
    rows += random.normal(size=width) * 3 + np.outer(labels, random.normal(size=width)) * 0.7
    rows[:, 1] *= 40
    rows[:, 2] = 0.25
    return np.vectorize(lambda x: float(f"{x:.6g}"))(rows).astype(np.float32), labels


def within(rows, labels):
    """Each row less its class's mean."""
    return rows - np.where(labels[:, None], rows[labels].mean(0), rows[~labels].mean(0))


def fitted(rows, labels):
    """Each method's weights on raw activations, and its bias."""
    rows = rows.astype(np.float64)
    scaler = StandardScaler().fit(rows)
    scaled = scaler.transform(rows)

    def raw(vector, intercept):
        weights = vector / scaler.scale_
        return weights, intercept - weights @ scaler.mean_

    def of_estimator(estimator):
        estimator.fit(scaled, labels)
        # RidgeClassifier has no axis for the one class.
        return raw(np.ravel(estimator.coef_), np.ravel(estimator.intercept_)[0])

    inner = within(scaled, labels)
    auto = ledoit_wolf_shrinkage(inner, assume_centered=True)
    difference = scaled[labels].mean(0) - scaled[~labels].mean(0)
    middle = (scaled[labels].mean(0) + scaled[~labels].mean(0)) / 2
    covariance = shrunk_covariance(inner.T @ inner / len(inner), auto)
    whitened = np.linalg.solve(covariance, difference)
    theta = rows[labels].mean(0) - rows[~labels].mean(0)
    return {
        "logistic": of_estimator(LogisticRegression(C=C, tol=1e-12, max_iter=100_000)),
        "mass-mean": (theta, -theta @ (rows[labels].mean(0) + rows[~labels].mean(0)) / 2),
        "mass-mean-whitened": raw(whitened, -whitened @ middle),
        "lda": of_estimator(LinearDiscriminantAnalysis(solver="lsqr", shrinkage=auto)),
        "lda-fixed": of_estimator(LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE)),
        "ridge": of_estimator(RidgeClassifier(alpha=ALPHA)),
    }


def eraser(rows, labels):
    given = torch.tensor(rows, dtype=torch.float64)
    return LeaceFitter.fit(given, torch.tensor(labels, dtype=torch.float64)[:, None]).eraser


def scores_of(scores, labels):
    """What scikit-learn says of scores as log odds."""
    probabilities = 1 / (1 + np.exp(-scores))
    return {
        "auc": roc_auc_score(labels, scores),
        "brier": brier_score_loss(labels, probabilities),
        "log_loss": log_loss(labels, probabilities),
        "balanced_accuracy": balanced_accuracy_score(labels, scores > 0),
    }


def case(seed, count, width, share):
    rows, labels = made_up(seed, count, width, share)
    erase = eraser(rows, labels)
    # Scores with ties, of a cut through one number.
    coarse = np.round(rows[:, 0].astype(np.float64) - rows[:, 0].mean(), 1)
    return {
        "width": width,
        "rows": rows.astype(np.float64).reshape(-1).tolist(),
        "labels": labels.tolist(),
        "probes": {name: {"weights": w.tolist(), "bias": float(b)} for name, (w, b) in fitted(rows, labels).items()},
        "erased": erase(torch.tensor(rows[:3], dtype=torch.float64)).reshape(-1).tolist(),
        "coarse_scores": coarse.tolist(),
        "coarse": {name: float(value) for name, value in scores_of(coarse, labels).items()},
    }


def activations(model, all_ids):
    kept = []
    handle = model.model.layers[SITE].register_forward_hook(
        lambda _module, _inputs, output: kept.append((output[0] if isinstance(output, tuple) else output)[0, -1])
    )
    with torch.no_grad():
        for ids in all_ids:
            model(torch.tensor([ids]), use_cache=False)
    handle.remove()
    return torch.stack([row.reshape(-1) for row in kept]).numpy()


def of_the_model(path):
    model = load_model(path)
    check_weights(model, path)
    folder, name = os.path.split(os.path.abspath(path))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name)
    made = texts()
    # The model wants nothing before a text.
    ids = [tokenizer.encode(text, add_special_tokens=False) for text, _ in made]
    labels = np.array([label for _, label in made])
    rows = activations(model, ids)
    training = len(made) * 2 // 3
    probes = fitted(rows[:training], labels[:training])
    tests = rows[training:].astype(np.float64)
    erase = eraser(rows[:training], labels[:training])
    erased = erase(torch.tensor(tests)).numpy()
    return {
        "site": f"blocks.{SITE}.hook_resid_post",
        "ids": ids,
        "labels": labels.tolist(),
        "training": training,
        "scores": {name: (tests @ w + b).tolist() for name, (w, b) in probes.items()},
        # Of each held-out text, how much was taken away, and the scores of the logistic probe for what is left.
        "taken": np.linalg.norm(tests - erased, axis=1).tolist(),
        "left": (erased @ probes["logistic"][0] + probes["logistic"][1]).tolist(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if sha256_of(arguments.model) != MODEL_SHA256:
        raise SystemExit(f"{arguments.model} is not the file of sha256 {MODEL_SHA256}")
    warnings.filterwarnings("error")
    document = {
        "about": "Written by probes.py.",
        "c": C,
        "alpha": ALPHA,
        "shrinkage": SHRINKAGE,
        "cases": [case(seed, *sizes) for seed, sizes in enumerate(CASES)],
        "model": of_the_model(arguments.model),
    }
    document = rounded(document, 9)
    write_or_compare(os.path.join(HERE, "probes.json"), document, arguments.check, 1e-5)


if __name__ == "__main__":
    main()
