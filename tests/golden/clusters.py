"""Reference clusters and silhouettes, by scikit-learn.

    python clusters.py            # writes clusters.json beside this script
    python clusters.py --check    # compares instead, and says what differs

Made-up points around a few centres, some of them near each other. The inertia is the least of two thousand starts.
"""

import argparse
import os

import numpy as np
import sklearn
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from common import rounded, write_or_compare

HERE = os.path.dirname(os.path.abspath(__file__))
# Points, width, centres, spread.
CASES = [(30, 2, 3, 0.3), (50, 6, 4, 0.8), (40, 5, 1, 1.0)]


def case(seed, count, width, centres, spread):
    random = np.random.default_rng(seed)
    middle = random.normal(size=(centres, width)) * 2
    points = (middle[np.arange(count) % centres] + spread * random.normal(size=(count, width))).round(5)
    found = []
    for k in range(2, 6):
        means = KMeans(n_clusters=k, n_init=2000, random_state=0, tol=0).fit(points)
        found.append(
            {
                "k": k,
                "inertia": float(means.inertia_),
                "assigned": means.labels_.tolist(),
                "silhouette": float(silhouette_score(points, means.labels_)),
            }
        )
    return {"points": points.tolist(), "clusters": found}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    document = {
        "about": "Written by clusters.py.",
        "made_with": {"scikit-learn": sklearn.__version__},
        "cases": rounded([case(seed, *what) for seed, what in enumerate(CASES)], 9),
    }
    write_or_compare(os.path.join(HERE, "clusters.json"), document, arguments.check, 1e-6)


if __name__ == "__main__":
    main()
