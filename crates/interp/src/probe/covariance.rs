//! Covariance within the two classes, shrunk, and what it makes of a difference of means.

use super::features::Features;
use crate::positive_definite::{Factor, add_multiple, conjugate_gradients, dot, gram_of_columns};

/// The covariance of all training texts, whatever their labels, in the coordinates of their features.
#[derive(Clone, Debug)]
pub(super) struct Total {
    /// `[rank, rank]`, whole; divided by the number of texts.
    pub matrix: Vec<f64>,
    trace: f64,
    /// Sum of all squared entries.
    square: f64,
}

impl Total {
    pub fn of(features: &Features) -> Total {
        let rank = features.rank;
        let mut matrix = gram_of_columns(&features.rows, rank);
        let n = features.len() as f64;
        for i in 0..rank {
            for j in 0..=i {
                matrix[i * rank + j] /= n;
                matrix[j * rank + i] = matrix[i * rank + j];
            }
        }
        let trace = (0..rank).map(|i| matrix[i * rank + i]).sum();
        Total { square: dot(&matrix, &matrix), trace, matrix }
    }

    pub fn times(&self, x: &[f64]) -> Vec<f64> {
        self.matrix.chunks_exact(x.len().max(1)).map(|row| dot(row, x)).collect()
    }

    /// `kept` times the covariance plus `ridge` on the diagonal, as a factor.
    pub fn factor(&self, rank: usize, kept: f64, ridge: f64) -> Option<Factor> {
        let mut matrix: Vec<f64> = self.matrix.iter().map(|x| kept * x).collect();
        (0..rank).for_each(|i| matrix[i * rank + i] += ridge);
        Factor::of(matrix, rank)
    }

    pub fn trace(&self) -> f64 {
        self.trace
    }

    /// Sum of all squared entries.
    pub fn square(&self) -> f64 {
        self.square
    }
}

/// The classes' means, seen from the mean of all.
#[derive(Clone, Debug)]
pub(super) struct Classes {
    /// Share of the positive class.
    pub positive: f64,
    /// Positive mean less negative mean, `[rank]`.
    pub difference: Vec<f64>,
}

impl Classes {
    /// Of labels that are not all alike.
    pub fn of(features: &Features, labels: &[bool]) -> Classes {
        let n = labels.len() as f64;
        let count = labels.iter().filter(|&&label| label).count() as f64;
        let weight = |&label: &bool| if label { 1.0 / count } else { -1.0 / (n - count) };
        let weights: Vec<f64> = labels.iter().map(weight).collect();
        Classes { positive: count / n, difference: features.weighted_sum(&weights) }
    }

    /// Half way between the classes' means, seen from the mean of all, along `vector`.
    pub fn midpoint(&self, vector: &[f64]) -> f64 {
        (0.5 - self.positive) * dot(&self.difference, vector)
    }
}

/// The covariance within classes (their own, weighted by their shares), shrunk towards a multiple of the identity:
/// `(1 - s) S_w + s tr(S_w) / width I`. S_w is the total covariance less `p (1 - p) d d^T`.
pub(super) struct Within<'a> {
    total: &'a Total,
    difference: &'a [f64],
    between: f64,
    /// s.
    pub shrinkage: f64,
    /// `s tr(S_w) / width`.
    pub ridge: f64,
}

impl<'a> Within<'a> {
    /// `shrinkage`: s, or as Ledoit and Wolf (2004, "A well-conditioned estimator for large-dimensional covariance
    /// matrices") would have it.
    pub fn of(
        features: &Features,
        total: &'a Total,
        classes: &'a Classes,
        labels: &[bool],
        shrinkage: Option<f64>,
    ) -> Within<'a> {
        let difference = &classes.difference;
        let between = classes.positive * (1.0 - classes.positive);
        let length = dot(difference, difference);
        let trace = (total.trace - between * length).max(0.0);
        let width = features.width() as f64;
        let shrinkage = shrinkage.unwrap_or_else(|| {
            let across = dot(difference, &total.times(difference));
            let square = total.square - 2.0 * between * across + (between * length).powi(2);
            ledoit_wolf(&squared_lengths(features, classes, labels), trace, square, width)
        });
        Within { total, difference, between, shrinkage, ridge: shrinkage * trace / width }
    }

    fn times(&self, x: &[f64]) -> Vec<f64> {
        let kept = 1.0 - self.shrinkage;
        let mut image = self.total.times(x);
        add_multiple(&mut image, -self.between * dot(self.difference, x), self.difference);
        image.iter_mut().zip(x).for_each(|(y, x)| *y = kept * *y + self.ridge * x);
        image
    }

    /// The inverse of this covariance times the difference of means. `near`: the factor of a matrix near it.
    pub fn whitened_difference(&self, near: &Factor) -> Vec<f64> {
        conjugate_gradients(|x| self.times(x), |x| near.solve(x), self.difference, 1e-11, 200)
    }
}

/// Each text's squared distance from its class's mean.
fn squared_lengths(features: &Features, classes: &Classes, labels: &[bool]) -> Vec<f64> {
    let length = dot(&classes.difference, &classes.difference);
    let along = features.scores(&classes.difference);
    let squared = |(text, &label): (usize, &bool)| {
        // The class's mean is this multiple of the difference.
        let place = if label { 1.0 - classes.positive } else { -classes.positive };
        dot(features.row(text), features.row(text)) - 2.0 * place * along[text] + place * place * length
    };
    labels.iter().enumerate().map(squared).collect()
}

/// Ledoit and Wolf's share of the identity, from the samples' squared lengths, and the covariance's trace and sum of
/// squares (as scikit-learn's `ledoit_wolf_shrinkage` has it).
fn ledoit_wolf(squared_lengths: &[f64], trace: f64, square: f64, width: f64) -> f64 {
    let n = squared_lengths.len() as f64;
    let fourth: f64 = squared_lengths.iter().map(|length| length * length).sum();
    let beta = (fourth / n - square) / (width * n);
    let delta = (square - trace * trace / width) / width;
    match beta.min(delta) {
        beta if beta > 0.0 && delta > 0.0 => beta / delta,
        _ => 0.0,
    }
}
