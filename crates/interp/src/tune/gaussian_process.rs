//! A Gaussian process over two coordinates.

use crate::positive_definite::{Factor, dot};
use statrs::function::erf::erfc;
use std::f64::consts::{PI, SQRT_2};

/// How a process varies: a Matern-5/2 kernel with a length scale for each coordinate, and noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hyperparameters {
    pub length_scales: [f64; 2],
    /// Of the process.
    pub variance: f64,
    /// Of the values around it.
    pub noise: f64,
}

/// A process that has seen some values (Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", chapter
/// 2), of mean zero before.
#[derive(Clone, Debug)]
pub struct GaussianProcess {
    pub hyperparameters: Hyperparameters,
    points: Vec<[f64; 2]>,
    factor: Factor,
    /// `K^-1 y`.
    weights: Vec<f64>,
    log_likelihood: f64,
}

/// What a process expects at a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Posterior {
    pub mean: f64,
    /// Standard deviation of the process there, without the noise.
    pub deviation: f64,
}

/// What is tried for each length scale, in units of the coordinates' whole range.
const LENGTH_SCALES: [f64; 7] = [0.08, 0.14, 0.25, 0.4, 0.65, 1.0, 1.6];
/// Noise, as a share of the process's variance.
const NOISES: [f64; 3] = [1e-4, 1e-2, 1e-1];

impl GaussianProcess {
    /// Of these values. `None` where there are none, or the covariance of the points is singular in f64.
    pub fn of(points: &[[f64; 2]], values: &[f64], hyperparameters: Hyperparameters) -> Option<GaussianProcess> {
        let n = points.len();
        if n == 0 || n != values.len() {
            return None;
        }
        let mut covariance = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                covariance[i * n + j] = hyperparameters.kernel(points[i], points[j]);
            }
            covariance[i * n + i] += hyperparameters.noise;
        }
        let factor = Factor::of(covariance, n)?;
        let weights = factor.solve(values);
        let log_likelihood = -0.5 * (dot(values, &weights) + factor.log_determinant() + n as f64 * (2.0 * PI).ln());
        Some(GaussianProcess { hyperparameters, points: points.to_vec(), factor, weights, log_likelihood })
    }

    /// The one of the largest likelihood among a grid of length scales and noises, each with the variance that suits it
    /// best: `y^T R^-1 y / n` for the covariance R that a variance of one gives.
    pub fn fitted(points: &[[f64; 2]], values: &[f64]) -> Option<GaussianProcess> {
        let mut best: Option<GaussianProcess> = None;
        for first in LENGTH_SCALES {
            for second in LENGTH_SCALES {
                for noise in NOISES {
                    let unit = Hyperparameters { length_scales: [first, second], variance: 1.0, noise };
                    let Some(of_unit) = GaussianProcess::of(points, values, unit) else { continue };
                    let variance = (dot(values, &of_unit.weights) / values.len() as f64).max(f64::MIN_POSITIVE);
                    let scaled = Hyperparameters { variance, noise: noise * variance, ..unit };
                    let found = GaussianProcess::of(points, values, scaled);
                    if let Some(found) = found.filter(|found| found.log_likelihood.is_finite())
                        && best.as_ref().is_none_or(|best| found.log_likelihood > best.log_likelihood)
                    {
                        best = Some(found);
                    }
                }
            }
        }
        best
    }

    pub fn posterior(&self, point: [f64; 2]) -> Posterior {
        let covariances: Vec<f64> = self.points.iter().map(|&seen| self.hyperparameters.kernel(point, seen)).collect();
        let explained = dot(&covariances, &self.factor.solve(&covariances));
        let variance = (self.hyperparameters.variance - explained).max(0.0);
        Posterior { mean: dot(&covariances, &self.weights), deviation: variance.sqrt() }
    }

    /// Of the values, with their noise.
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }
}

impl Hyperparameters {
    /// `variance (1 + sqrt(5) r + 5 r^2 / 3) exp(-sqrt(5) r)`, r the distance in length scales.
    fn kernel(&self, a: [f64; 2], b: [f64; 2]) -> f64 {
        let square: f64 = (0..2).map(|i| ((a[i] - b[i]) / self.length_scales[i]).powi(2)).sum();
        let r = (5.0 * square).sqrt();
        self.variance * (1.0 + r + r * r / 3.0) * (-r).exp()
    }
}

impl Posterior {
    /// By how much a value there is expected to be above `best`, counting nothing where it is below (Mockus 1975):
    /// `s (z P(z) + p(z))`, z = (mean - best) / s.
    pub fn expected_improvement(self, best: f64) -> f64 {
        if self.deviation == 0.0 {
            return (self.mean - best).max(0.0);
        }
        let z = (self.mean - best) / self.deviation;
        let density = (-z * z / 2.0).exp() / (2.0 * PI).sqrt();
        self.deviation * (z * normal(z) + density)
    }

    /// How probable a value of at most `limit` is.
    pub fn probability_below(self, limit: f64) -> f64 {
        if self.deviation == 0.0 {
            return f64::from(u8::from(self.mean <= limit));
        }
        normal((limit - self.mean) / self.deviation)
    }
}

/// The standard normal distribution's cumulative function.
fn normal(z: f64) -> f64 {
    erfc(-z / SQRT_2) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_noise_a_process_passes_through_what_it_has_seen_and_forgets_far_away() {
        let hyperparameters = Hyperparameters { length_scales: [0.3, 0.5], variance: 2.0, noise: 1e-12 };
        let points = [[0.0, 0.0], [0.2, 0.9], [1.0, 0.4]];
        let process = GaussianProcess::of(&points, &[1.0, -2.0, 0.5], hyperparameters).unwrap();
        for (point, value) in points.into_iter().zip([1.0, -2.0, 0.5]) {
            let found = process.posterior(point);
            assert!((found.mean - value).abs() < 1e-9 && found.deviation < 1e-5, "{found:?}");
        }
        let far = process.posterior([50.0, 50.0]);
        assert!(far.mean.abs() < 1e-9 && (far.deviation - 2f64.sqrt()).abs() < 1e-9, "{far:?}");
    }

    #[test]
    fn the_coordinate_that_matters_gets_the_shorter_length_scale() {
        let points: Vec<[f64; 2]> = (0..25).map(|n| [f64::from(n % 5) / 4.0, f64::from(n / 5) / 4.0]).collect();
        let values: Vec<f64> = points.iter().map(|[x, y]| (6.0 * x).sin() + 0.05 * y).collect();
        let [across, along] = GaussianProcess::fitted(&points, &values).unwrap().hyperparameters.length_scales;
        assert!(across < along, "{across} {along}");
    }

    #[test]
    fn what_cannot_improve_is_expected_to_improve_nothing() {
        let at = |mean, deviation| Posterior { mean, deviation }.expected_improvement(1.0);
        assert_eq!((at(3.0, 0.0), at(0.5, 0.0)), (2.0, 0.0));
        // At the best so far: s p(0).
        assert!((at(1.0, 2.0) - 2.0 / (2.0 * PI).sqrt()).abs() < 1e-12);
        assert!(at(0.0, 0.1) < 1e-20 && at(0.0, 0.1) >= 0.0);
    }

    #[test]
    fn no_values_make_no_process() {
        assert!(GaussianProcess::fitted(&[], &[]).is_none());
        assert!(GaussianProcess::fitted(&[[0.0, 0.0]], &[f64::NAN]).is_none());
    }
}
