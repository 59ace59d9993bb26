"""Reference directions of contrasting pairs, by scikit-learn and numpy.

    python directions.py            # writes directions.json beside this script
    python directions.py --check    # compares instead, and says what differs

repeng 0.4 fits `PCA(n_components=1, whiten=False)` to the pairs' differences (`pca_diff`), or to all texts with the
middle of their pair taken off (`pca_center`), takes its one component, and turns it round where the positive text lies
lower on it than its negative in more pairs than higher. As the middles have no mean, `pca_center` is the first right
singular vector of the differences, which numpy's SVD finds by itself.

`lda` and `logistic` are the weights of scikit-learn's estimators on standardised activations, brought back to raw ones
and to length one: LinearDiscriminantAnalysis with Ledoit and Wolf's shrinkage of the covariance within the two sides, and
LogisticRegression with C = 0.1. The activations are random numbers with a direction in them.
"""

import argparse
import os

import numpy as np
import sklearn
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from common import rounded, write_or_compare

HERE = os.path.dirname(os.path.abspath(__file__))
# Pairs, width, how far the two sides lie apart, how many pairs are the wrong way round.
CASES = [(3, 8, 1.0, 0), (12, 16, 2.0, 1), (12, 16, 0.2, 5), (40, 24, 1.5, 3)]


def made(rows, positive, negative):
    pca = PCA(n_components=1, whiten=False).fit(rows)
    direction = pca.components_[0].astype(np.float64)
    higher = positive @ direction > negative @ direction
    lower = positive @ direction < negative @ direction
    if lower.mean() > higher.mean():
        direction = -direction
    votes = [int(higher.sum()), int(lower.sum())]
    return {"direction": direction.tolist(), "explained": float(pca.explained_variance_ratio_[0]), "votes": sorted(votes)}


def first_right_singular_vector(differences):
    """Turned as the majority of the differences point."""
    direction = np.linalg.svd(differences)[2][0]
    return {"direction": (direction * np.sign(np.sign(differences @ direction).sum() or 1.0)).tolist()}


def weights(estimator, scaler):
    """Of a fitted estimator on standardised activations, those on raw ones, of length one."""
    raw = np.ravel(estimator.coef_) / scaler.scale_
    return {"direction": (raw / np.linalg.norm(raw)).tolist()}


def discriminating(positive, negative):
    rows = np.concatenate([positive, negative])
    labels = np.arange(len(rows)) < len(positive)
    scaler = StandardScaler().fit(rows)
    scaled = scaler.transform(rows)
    within = scaled - np.where(labels[:, None], scaled[labels].mean(0), scaled[~labels].mean(0))
    shrinkage = ledoit_wolf_shrinkage(within, assume_centered=True)
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(scaled, labels)
    logistic = LogisticRegression(C=0.1, tol=1e-12, max_iter=100_000).fit(scaled, labels)
    return {"lda": weights(lda, scaler), "logistic": weights(logistic, scaler)}


def case(seed, pairs, width, apart, wrong):
    random = np.random.default_rng(seed)
    concept = random.normal(size=width)
    concept /= np.linalg.norm(concept)
    topics = random.normal(size=(pairs, width))
    signs = np.where(np.arange(pairs) < wrong, -1.0, 1.0)[:, None]
    strength = apart * random.uniform(0.5, 1.5, size=(pairs, 1))
    noise = 0.3 * random.normal(size=(2, pairs, width))
    # f32, as activations are.
    positive = (topics + signs * strength * concept + noise[0]).astype(np.float32).astype(np.float64)
    negative = (topics - signs * strength * concept + noise[1]).astype(np.float32).astype(np.float64)
    middle = (positive + negative) / 2
    centred = np.concatenate([positive - middle, negative - middle])
    return {
        "width": width,
        "positive": positive.flatten().tolist(),
        "negative": negative.flatten().tolist(),
        "pca-diff": made(positive - negative, positive, negative),
        "pca-center": made(centred, positive, negative),
        "mean-diff": {"direction": (positive - negative).mean(axis=0).tolist()},
        "svd": first_right_singular_vector(positive - negative),
        **discriminating(positive, negative),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    document = {
        "about": "Written by directions.py.",
        "made_with": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
        "cases": rounded([case(seed, *what) for seed, what in enumerate(CASES)], 9),
    }
    write_or_compare(os.path.join(HERE, "directions.json"), document, arguments.check, 1e-5)


if __name__ == "__main__":
    main()
