"""Reference posteriors of Gaussian processes, from scikit-learn, and expected improvements, from scipy.

    python gaussian_process.py            # writes gaussian_process.json beside this script
    python gaussian_process.py --check    # compares instead, and says what differs

Points in the unit square with made-up values; Matern-5/2 with a length scale for each coordinate, its parameters given.
"""

import argparse
import os

import numpy as np
import scipy
import sklearn
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from common import rounded, write_or_compare

HERE = os.path.dirname(os.path.abspath(__file__))
# Points, length scales, variance, noise.
CASES = [(3, (0.3, 0.5), 1.0, 1e-4), (12, (0.14, 1.0), 2.5, 0.01), (30, (0.65, 0.25), 0.7, 0.1)]


def case(seed, count, length_scales, variance, noise):
    random = np.random.default_rng(seed)
    points = random.uniform(size=(count, 2)).round(6)
    values = (np.sin(5 * points[:, 0]) - points[:, 1] ** 2 + 0.1 * random.normal(size=count)).round(6)
    kernel = ConstantKernel(variance) * Matern(length_scale=length_scales, nu=2.5)
    process = GaussianProcessRegressor(kernel=kernel, alpha=noise, optimizer=None).fit(points, values)
    asked = np.concatenate([random.uniform(size=(8, 2)).round(6), points[:1]])
    mean, deviation = process.predict(asked, return_std=True)
    best = values.max()
    z = (mean - best) / deviation
    return {
        "points": points.tolist(),
        "values": values.tolist(),
        "length_scales": list(length_scales),
        "variance": variance,
        "noise": noise,
        "log_likelihood": float(process.log_marginal_likelihood_value_),
        "asked": asked.tolist(),
        "mean": mean.tolist(),
        "deviation": deviation.tolist(),
        "expected_improvement": (deviation * (z * norm.cdf(z) + norm.pdf(z))).tolist(),
        "probability_below": norm.cdf((0.25 - mean) / deviation).tolist(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    document = {
        "about": "Written by gaussian_process.py.",
        "made_with": {"scikit-learn": sklearn.__version__, "scipy": scipy.__version__},
        "cases": rounded([case(seed, *what) for seed, what in enumerate(CASES)], 9),
    }
    write_or_compare(os.path.join(HERE, "gaussian_process.json"), document, arguments.check, 1e-6)


if __name__ == "__main__":
    main()
