//! Logistic regression with a penalty on the squared length.

use super::features::Features;
use super::fit::Cut;
use crate::positive_definite::{add_multiple, conjugate_gradients, dot};

/// Newton steps; a dozen are usual.
const STEPS: usize = 100;

/// The minimum of `|w|^2 / 2 + C sum ln(1 + exp(-y (w . x + b)))`, as scikit-learn's LogisticRegression states it; the
/// intercept b is not penalised. By Newton steps, each found by conjugate gradients as far as it is worth (Lin, Weng and
/// Keerthi 2008, "Trust region Newton method for logistic regression"), and shortened until the sum falls.
///
/// Ends where the gradient is below `tolerance` times the larger of 1 and |w|. The penalty alone curves the sum by 1, so
/// w is then as near to the minimum as that.
pub(super) fn logistic(features: &Features, labels: &[bool], c: f64, tolerance: f64) -> Cut {
    let signs: Vec<f64> = labels.iter().map(|&label| if label { 1.0 } else { -1.0 }).collect();
    let share = labels.iter().filter(|&&label| label).count() as f64 / labels.len() as f64;
    // The last number is the intercept.
    let mut at = vec![0.0; features.rank + 1];
    at[features.rank] = (share / (1.0 - share)).ln();
    let mut scores = vec![at[features.rank]; labels.len()];
    let mut value = objective(&at[..features.rank], &scores, &signs, c);
    for _ in 0..STEPS {
        let probability = |(&score, &sign): (&f64, &f64)| (sigmoid(score), sign);
        let probabilities: Vec<(f64, f64)> = scores.iter().zip(&signs).map(probability).collect();
        let errors: Vec<f64> = probabilities.iter().map(|(p, sign)| c * (p - f64::max(*sign, 0.0))).collect();
        let mut gradient = features.weighted_sum(&errors);
        add_multiple(&mut gradient, 1.0, &at[..features.rank]);
        gradient.push(errors.iter().sum());
        let length = dot(&gradient, &gradient).sqrt();
        if length <= tolerance * dot(&at, &at).sqrt().max(1.0) {
            break;
        }
        let curvatures: Vec<f64> = probabilities.iter().map(|(p, _)| c * p * (1.0 - p)).collect();
        let hessian = |x: &[f64]| times_hessian(features, &curvatures, x);
        let downhill: Vec<f64> = gradient.iter().map(|x| -x).collect();
        let enough = length.sqrt().min(0.1);
        let step = conjugate_gradients(hessian, <[f64]>::to_vec, &downhill, enough, 10 * features.rank + 10);
        let slope = dot(&gradient, &step);
        let along: Vec<f64> =
            features.scores(&step[..features.rank]).iter().map(|score| score + step[features.rank]).collect();
        // Armijo's rule.
        let mut share = 1.0;
        let taken = loop {
            let next: Vec<f64> = at.iter().zip(&step).map(|(x, step)| x + share * step).collect();
            let next_scores: Vec<f64> = scores.iter().zip(&along).map(|(score, along)| score + share * along).collect();
            let next_value = objective(&next[..features.rank], &next_scores, &signs, c);
            // Near the minimum the fall drowns in rounding.
            if next_value <= value + 1e-4 * share * slope || -slope <= 1e-13 * value.abs() {
                break Some((next, next_scores, next_value));
            }
            share /= 2.0;
            if share < 1e-10 {
                break None;
            }
        };
        let Some(taken) = taken else { break };
        (at, scores, value) = taken;
    }
    let intercept = at.pop().unwrap_or(0.0);
    Cut { vector: at, intercept }
}

fn objective(w: &[f64], scores: &[f64], signs: &[f64], c: f64) -> f64 {
    let losses: f64 = scores.iter().zip(signs).map(|(score, sign)| softplus(-score * sign)).sum();
    dot(w, w) / 2.0 + c * losses
}

/// `(I + X^T D X) x` with a column of ones in X that the identity leaves out.
fn times_hessian(features: &Features, curvatures: &[f64], x: &[f64]) -> Vec<f64> {
    let (w, b) = (&x[..features.rank], x[features.rank]);
    let mut image = w.to_vec();
    image.push(0.0);
    for (text, curvature) in curvatures.iter().enumerate() {
        let row = features.row(text);
        let weight = curvature * (dot(row, w) + b);
        add_multiple(&mut image[..features.rank], weight, row);
        image[features.rank] += weight;
    }
    image
}

/// `1 / (1 + exp(-x))`.
pub(super) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let odds = x.exp();
        odds / (1.0 + odds)
    }
}

/// `ln(1 + exp(x))`.
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
