"""Reference regressions of an autoencoder's errors on activations, by scikit-learn.

    python linear_errors.py            # writes linear_errors.json beside this script
    python linear_errors.py --check    # compares instead, and says what differs

Made-up activations and errors, part of which is linear in the activations. Ridge regression with a constant; the penalty
is a thousandth of the mean sum of squares of the activations' numbers. Fitted to the first rows, scored on the others:
errors by number, then the mean of that, and their squared lengths.
"""

import argparse
import os

import numpy as np
import sklearn
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from common import rounded, write_or_compare

HERE = os.path.dirname(os.path.abspath(__file__))
# Rows fitted to, rows in all, numbers.
CASES = [(40, 60, 5), (30, 50, 24)]


def case(seed, fitted, rows, width):
    random = np.random.default_rng(seed)
    x = (random.normal(size=(rows, width)) * np.exp(random.normal(size=width)) + random.normal(size=width)).round(4)
    errors = (x @ random.normal(size=(width, width)) * 0.3 + random.normal(size=(rows, width)) + 0.5).round(4)
    squares = (errors**2).sum(1)
    scale = 1e-3 * ((x[:fitted] - x[:fitted].mean(0)) ** 2).sum() / width
    of_errors = Ridge(alpha=scale).fit(x[:fitted], errors[:fitted])
    of_squares = Ridge(alpha=scale).fit(x[:fitted], squares[:fitted])
    foreseen = of_errors.predict(x[fitted:])
    return {
        "fitted": fitted,
        "width": width,
        "activations": x.tolist(),
        "errors": errors.tolist(),
        "foreseen": foreseen[:3].tolist(),
        "r2_vector": float(r2_score(errors[fitted:], foreseen)),
        "r2_length": float(r2_score(squares[fitted:], of_squares.predict(x[fitted:]))),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    document = {
        "about": "Written by linear_errors.py.",
        "made_with": {"scikit-learn": sklearn.__version__},
        "cases": rounded([case(seed, *what) for seed, what in enumerate(CASES)]),
    }
    write_or_compare(os.path.join(HERE, "linear_errors.json"), document, arguments.check, 1e-4)


if __name__ == "__main__":
    main()
