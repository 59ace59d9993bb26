//! Whether a direction holds the concept, or only the texts that it was made from.

use super::Contrast;
use serde::Serialize;

/// Held-out separability: each pair is scored along the direction built from the *other* pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Separability {
    /// Difference of the classes' mean scores over their pooled standard deviation (Cohen's d, signal detection's d').
    /// Infinite where the scores do not vary.
    pub d_prime: f32,
    /// Share of pairs whose positive text lies further along the direction than the negative one, 0 to 1.
    pub accuracy: f32,
}

/// With fewer pairs a direction left after taking one out is one text's, and a deviation of scores says nothing.
const FEWEST_PAIRS: usize = 3;

impl Separability {
    /// Leaves out one pair after the other, scoring both its texts by their projection on the unit mean difference of
    /// the others. Needs no further passes: with S the sum of all differences, the direction without pair i is along
    /// S - d_i. `None` for fewer than three pairs.
    pub fn leave_one_pair_out(contrast: &Contrast) -> Option<Separability> {
        if contrast.pairs().len() < FEWEST_PAIRS {
            return None;
        }
        let sum = contrast.summed_difference();
        let scores = contrast.pairs().map(|(positive, negative)| {
            let difference = positive.iter().zip(negative).map(|(&p, &n)| f64::from(p) - f64::from(n));
            let direction: Vec<f64> = sum.iter().zip(difference).map(|(sum, own)| sum - own).collect();
            let length = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
            // The other pairs cancel out: they point nowhere, and do not tell this one's texts apart.
            if length == 0.0 {
                return (0.0, 0.0);
            }
            let along = |x: &[f32]| x.iter().zip(&direction).map(|(&x, d)| f64::from(x) * d).sum::<f64>() / length;
            (along(positive), along(negative))
        });
        let (positive, negative): (Vec<f64>, Vec<f64>) = scores.unzip();
        let right = positive.iter().zip(&negative).filter(|(p, n)| p > n).count();
        Some(Separability {
            d_prime: d_prime(&positive, &negative) as f32,
            accuracy: right as f32 / positive.len() as f32,
        })
    }
}

/// `(mean(a) - mean(b)) / sqrt((var(a) + var(b)) / 2)`, with the unbiased variances.
fn d_prime(a: &[f64], b: &[f64]) -> f64 {
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let variance = |x: &[f64]| {
        let mean = mean(x);
        x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (x.len() - 1) as f64
    };
    let difference = mean(a) - mean(b);
    if difference == 0.0 { 0.0 } else { difference / ((variance(a) + variance(b)) / 2.0).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One number a text: the direction is the sign of the other pairs' summed difference.
    fn on_a_line(positive: &[f32], negative: &[f32]) -> Option<Separability> {
        Separability::leave_one_pair_out(&Contrast::new(0, 1, positive.to_vec(), negative.to_vec()))
    }

    #[test]
    fn scores_are_as_worked_out_by_hand() {
        // Differences 2, 2, -1 (sum 3): without any one pair the rest still points up, so scores are the numbers
        // themselves. Means 8/3 and 5/3; variances 13/3 and 7/3, their mean 10/3; d' = 1 / sqrt(10/3).
        let found = on_a_line(&[5.0, 2.0, 1.0], &[3.0, 0.0, 2.0]).unwrap();
        assert!((f64::from(found.d_prime) - 1.0 / (10.0f64 / 3.0).sqrt()).abs() < 1e-6, "{found:?}");
        assert_eq!(found.accuracy, 2.0 / 3.0);
    }

    #[test]
    fn a_pair_does_not_vote_for_itself() {
        // Differences 5, -1, -1. All three together point up, which calls the first pair right. Held out, it meets a
        // direction that points down, and each of the others one that points up: none is right.
        let found = on_a_line(&[5.0, 0.0, 0.0], &[0.0, 1.0, 1.0]).unwrap();
        assert_eq!(found.accuracy, 0.0);
    }

    #[test]
    fn two_pairs_say_nothing() {
        assert_eq!(on_a_line(&[1.0, 2.0], &[0.0, 0.0]), None);
        assert!(on_a_line(&[1.0, 2.0, 3.0], &[0.0, 0.0, 0.0]).is_some());
    }

    #[test]
    fn texts_that_do_not_differ_do_not_separate() {
        let found = on_a_line(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((found.d_prime, found.accuracy), (0.0, 0.0));
    }
}
