//! Whether a direction holds the concept, or only the texts that it was made from.

use super::{Contrast, Made, VectorMethod};
use serde::Serialize;
use tiller_engine::RowProducts;

/// Held-out separability: each pair is scored along a direction that was built without it.
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

/// Directions that are built to score pairs that they were not built from. A mean without one pair is a subtraction; a
/// direction of any other kind has to be found anew.
const FOLDS: usize = 10;

impl Separability {
    /// Of a mean difference, each pair is scored along that of all others; of other methods, along the direction of the
    /// pairs in other folds (every tenth pair is in one). Scores are projections on the unit direction. `None` for fewer
    /// than three pairs.
    pub fn held_out(method: VectorMethod, contrast: &Contrast) -> Option<Separability> {
        let pairs = contrast.pairs().len();
        if pairs < FEWEST_PAIRS {
            return None;
        }
        let directions: Vec<Option<Vec<f64>>> = match method {
            VectorMethod::MeanDifference => without_each(&contrast.differences()),
            _ => {
                let folds = FOLDS.min(pairs);
                let without = |fold: usize| {
                    let others = contrast.of_pairs(|pair| pair % folds != fold);
                    Made::of(method, &others).map(|made| made.vector)
                };
                let by_fold: Vec<Option<Vec<f64>>> = (0..folds).map(without).collect();
                (0..pairs).map(|pair| by_fold[pair % folds].clone()).collect()
            }
        };
        let scores = contrast.pairs().zip(&directions).map(|((positive, negative), direction)| {
            // The other pairs point nowhere, and do not tell this one's texts apart.
            let Some(direction) = direction else { return (0.0, 0.0) };
            let length = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
            let along = |x: &[f32]| x.iter().zip(direction).map(|(&x, d)| f64::from(x) * d).sum::<f64>() / length;
            (along(positive), along(negative))
        });
        Some(Separability::of_scores(scores))
    }
}

impl Separability {
    /// The same of a mean difference, from what is known of each text (positive and negative in turns) and that
    /// difference m, whose square is `square`: with n pairs, the direction without the pair (p, q) is n m - (p - q), so
    /// that its products with p and q, and its length, are sums of products of m, p and q.
    pub(super) fn of_mean_difference(square: f64, texts: &[RowProducts]) -> Option<Separability> {
        let (pairs, _) = texts.as_chunks::<2>();
        if pairs.len() < FEWEST_PAIRS {
            return None;
        }
        let n = pairs.len() as f64;
        let scores = pairs.iter().map(|[p, q]| {
            let own = p.square - 2.0 * p.pair + q.square;
            let of_all = n * n * square;
            let others = of_all - 2.0 * n * (p.along - q.along) + own;
            // What is left of rounding points nowhere, as in `held_out`.
            if others <= ROUNDING * (of_all + p.square + q.square) {
                return (0.0, 0.0);
            }
            let length = others.sqrt();
            ((n * p.along - p.square + p.pair) / length, (n * q.along - p.pair + q.square) / length)
        });
        Some(Separability::of_scores(scores))
    }

    fn of_scores(scores: impl Iterator<Item = (f64, f64)>) -> Separability {
        let (positive, negative): (Vec<f64>, Vec<f64>) = scores.unzip();
        let right = positive.iter().zip(&negative).filter(|(p, n)| p > n).count();
        Separability { d_prime: d_prime(&positive, &negative) as f32, accuracy: right as f32 / positive.len() as f32 }
    }
}

/// Sums in single precision are known to so much of what went into them.
const ROUNDING: f64 = 1e-6;

/// For each pair, a vector along the mean difference of all others: with S the sum of all differences, S - d_i.
fn without_each(differences: &[Vec<f64>]) -> Vec<Option<Vec<f64>>> {
    let mut sum = vec![0.0; differences[0].len()];
    for difference in differences {
        sum.iter_mut().zip(difference).for_each(|(sum, x)| *sum += x);
    }
    let without = |own: &Vec<f64>| {
        let others: Vec<f64> = sum.iter().zip(own).map(|(sum, own)| sum - own).collect();
        others.iter().any(|x| *x != 0.0).then_some(others)
    };
    differences.iter().map(without).collect()
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
        Separability::held_out(VectorMethod::MeanDifference, &Contrast::new(0, 1, positive.to_vec(), negative.to_vec()))
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
    fn components_are_judged_by_pairs_they_have_not_seen() {
        // Twelve pairs along (1, 0), all alike, and noise along (0, 1).
        let noise = |i: usize| 1.5 * ((i * i) as f32).sin();
        let positive: Vec<f32> = (0..12).flat_map(|i| [1.0, noise(i)]).collect();
        let negative: Vec<f32> = (0..12).flat_map(|i| [-1.0, noise(i + 50)]).collect();
        let contrast = Contrast::new(0, 2, positive, negative);
        let held_out = |method| Separability::held_out(method, &contrast).unwrap();
        assert_eq!(held_out(VectorMethod::MeanDifference).accuracy, 1.0);
        // The component of what varies is the noise.
        assert!(held_out(VectorMethod::PcaDifference).accuracy < 1.0);
        // What tells the sides apart is the same for pairs that were not fitted.
        assert!(
            [VectorMethod::PcaCenter, VectorMethod::Lda, VectorMethod::Logistic]
                .map(held_out)
                .iter()
                .all(|s| s.accuracy == 1.0)
        );
    }

    #[test]
    fn products_of_texts_say_what_the_texts_say() {
        let number = |i: usize| ((i * i + 3 * i) as f32).sin() + if i % 10 < 5 { 0.2 } else { 0.0 };
        let texts: Vec<Vec<f32>> = (0..24).map(|text| (0..5).map(|i| number(5 * text + i)).collect()).collect();
        let side = |which: usize| texts.iter().skip(which).step_by(2).flatten().copied().collect::<Vec<f32>>();
        let contrast = Contrast::new(0, 5, side(0), side(1));
        let mean = Made::of(VectorMethod::MeanDifference, &contrast).unwrap().vector;
        let dot = |a: &[f32], b: &[f64]| a.iter().zip(b).map(|(&a, b)| f64::from(a) * b).sum::<f64>();
        let wide = |text: usize| texts[text].iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
        let products: Vec<RowProducts> = (0..24)
            .map(|n| RowProducts {
                along: dot(&texts[n], &mean),
                square: dot(&texts[n], &wide(n)),
                pair: dot(&texts[n], &wide(n ^ 1)),
            })
            .collect();
        let square = mean.iter().map(|x| x * x).sum();
        let found = Separability::of_mean_difference(square, &products).unwrap();
        let expected = Separability::held_out(VectorMethod::MeanDifference, &contrast).unwrap();
        assert!((0.1..0.9).contains(&expected.accuracy), "{expected:?}");
        assert_eq!(found.accuracy, expected.accuracy);
        assert!((found.d_prime - expected.d_prime).abs() < 1e-5, "{found:?}, {expected:?}");
        // Texts that do not differ point nowhere.
        let alike = [RowProducts { along: 0.0, square: 2.0, pair: 2.0 }; 8];
        let found = Separability::of_mean_difference(0.0, &alike).unwrap();
        assert_eq!((found.d_prime, found.accuracy), (0.0, 0.0));
        assert_eq!(Separability::of_mean_difference(1.0, &products[..4]), None);
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
