//! How well a probe does on texts that it was not fitted to.

use super::logistic::{sigmoid, softplus};
use serde::Serialize;

/// What a probe gets right, and how far its probabilities can be trusted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores {
    pub texts: usize,
    pub accuracy: f64,
    /// Wilson's, of 95 %, for the accuracy. Texts of one group are alike, so it may be too narrow.
    pub interval: Interval,
    /// The mean of the shares that are right of each class; `None` where a class is missing.
    pub balanced_accuracy: Option<f64>,
    /// Area under the receiver operating characteristic; `None` where a class is missing.
    pub auc: Option<f64>,
    /// Mean squared distance of probability and label.
    pub brier: f64,
    /// Mean negative log probability of the label, in nats.
    pub log_loss: f64,
    pub confusion: Confusion,
    /// Ten, by probability; empty ones are left out.
    pub calibration: Vec<CalibrationBin>,
}

/// A range that holds the truth with the probability stated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// Texts by label and decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Confusion {
    pub true_positives: usize,
    pub false_positives: usize,
    pub true_negatives: usize,
    pub false_negatives: usize,
}

/// Texts whose probability lies in one tenth of the range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CalibrationBin {
    pub texts: usize,
    /// Their mean probability.
    pub probability: f64,
    /// The share of them that are positive.
    pub positive: f64,
}

impl Scores {
    /// Of scores with labels, at least one; `slope` turns scores into log odds. Positive is what scores above 0.
    pub fn of(scored: &[(f64, bool)], slope: f64) -> Scores {
        let n = scored.len();
        let mut confusion = Confusion::default();
        for &(score, label) in scored {
            *match (score > 0.0, label) {
                (true, true) => &mut confusion.true_positives,
                (true, false) => &mut confusion.false_positives,
                (false, false) => &mut confusion.true_negatives,
                (false, true) => &mut confusion.false_negatives,
            } += 1;
        }
        let Confusion { true_positives, false_positives, true_negatives, false_negatives } = confusion;
        let right = true_positives + true_negatives;
        let share = |count: usize, of: usize| (of > 0).then(|| count as f64 / of as f64);
        let of_positive = share(true_positives, true_positives + false_negatives);
        let of_negative = share(true_negatives, true_negatives + false_positives);
        let mean = |value: &dyn Fn(f64, bool) -> f64| {
            scored.iter().map(|&(score, label)| value(slope * score, label)).sum::<f64>() / n as f64
        };
        Scores {
            texts: n,
            accuracy: right as f64 / n as f64,
            interval: wilson(right, n),
            balanced_accuracy: of_positive.zip(of_negative).map(|(a, b)| (a + b) / 2.0),
            auc: auc(scored),
            brier: mean(&|odds, label| (sigmoid(odds) - f64::from(u8::from(label))).powi(2)),
            log_loss: mean(&|odds, label| softplus(if label { -odds } else { odds })),
            confusion,
            calibration: calibration(scored, slope),
        }
    }
}

/// The share of scores with the label's sign.
pub(super) fn accuracy(scored: impl Iterator<Item = (f64, bool)>) -> f64 {
    let (right, all) =
        scored.fold((0, 0), |(right, all), (score, label)| (right + usize::from((score > 0.0) == label), all + 1));
    f64::from(right as u32) / f64::from(all.max(1))
}

/// The interval of 95 % for a share (Wilson 1927).
pub fn wilson(right: usize, n: usize) -> Interval {
    /// The 97.5 % quantile of the normal distribution.
    const Z: f64 = 1.959_963_984_540_054;
    let n = n as f64;
    let share = right as f64 / n;
    let shrunk = 1.0 + Z * Z / n;
    let middle = (share + Z * Z / (2.0 * n)) / shrunk;
    let half = Z / shrunk * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    Interval { low: (middle - half).max(0.0), high: (middle + half).min(1.0) }
}

/// The probability that a positive text scores above a negative one; of equal scores half counts (Mann and Whitney 1947).
pub fn auc(scored: &[(f64, bool)]) -> Option<f64> {
    let mut ordered = scored.to_vec();
    ordered.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let positives = ordered.iter().filter(|(_, label)| *label).count() as f64;
    let negatives = ordered.len() as f64 - positives;
    let mut below = 0.0;
    let mut won = 0.0;
    for tied in ordered.chunk_by(|a, b| a.0 == b.0) {
        let own = tied.iter().filter(|(_, label)| *label).count() as f64;
        let others = tied.len() as f64 - own;
        won += own * (below + others / 2.0);
        below += others;
    }
    (positives > 0.0 && negatives > 0.0).then(|| won / (positives * negatives))
}

fn calibration(scored: &[(f64, bool)], slope: f64) -> Vec<CalibrationBin> {
    const BINS: usize = 10;
    let mut bins = [(0usize, 0.0, 0usize); BINS];
    for &(score, label) in scored {
        let probability = sigmoid(slope * score);
        let bin = &mut bins[((probability * BINS as f64) as usize).min(BINS - 1)];
        *bin = (bin.0 + 1, bin.1 + probability, bin.2 + usize::from(label));
    }
    let made = |&(texts, sum, positive): &(usize, f64, usize)| {
        let n = texts as f64;
        (texts > 0).then(|| CalibrationBin { texts, probability: sum / n, positive: positive as f64 / n })
    };
    bins.iter().filter_map(made).collect()
}

/// The factor by which scores come nearest to log odds (Platt 1999, without an offset): the labels count as
/// `(n + 1) / (n + 2)` and `1 / (n + 2)` for the n texts of their class, so that scores without a fault do not make
/// certainties. 0 where scores say nothing, or the contrary.
pub(super) fn slope_of_probability(scored: &[(f64, bool)]) -> f64 {
    let positives = scored.iter().filter(|(_, label)| *label).count() as f64;
    let negatives = scored.len() as f64 - positives;
    let target = |label: bool| if label { (positives + 1.0) / (positives + 2.0) } else { 1.0 / (negatives + 2.0) };
    let largest = scored.iter().map(|(score, _)| score.abs()).fold(0.0, f64::max);
    if largest == 0.0 || !largest.is_finite() {
        return 0.0;
    }
    // The derivative falls as the slope rises; its zero is between 0 and where every score but the smallest is certain.
    let derivative = |slope: f64| -> f64 {
        scored.iter().map(|&(score, label)| (target(label) - sigmoid(slope * score)) * score / largest).sum()
    };
    if derivative(0.0) <= 0.0 {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0 / largest);
    while derivative(high) > 0.0 && high * largest < 1e6 {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if derivative(middle) > 0.0 { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_as_worked_out_by_hand() {
        let scored = [(2.0, true), (1.0, false), (1.0, true), (-1.0, true), (-3.0, false)];
        let found = Scores::of(&scored, 1.0);
        assert_eq!((found.texts, found.accuracy), (5, 0.6));
        let expected = Confusion { true_positives: 2, false_positives: 1, true_negatives: 1, false_negatives: 1 };
        assert_eq!(found.confusion, expected);
        assert!((found.balanced_accuracy.unwrap() - (2.0 / 3.0 + 0.5) / 2.0).abs() < 1e-12);
        // Of six pairs, 2 beats both, 1 ties one and beats the other, -1 beats one.
        assert!((found.auc.unwrap() - (2.0 + 1.5 + 1.0) / 6.0).abs() < 1e-12);
        let p = |x: f64| 1.0 / (1.0 + (-x).exp());
        let brier = (1.0 - p(2.0)).powi(2) + p(1.0).powi(2) + (1.0 - p(1.0)).powi(2) + p(1.0).powi(2) + p(-3.0).powi(2);
        assert!((found.brier - brier / 5.0).abs() < 1e-12);
        assert_eq!(found.calibration.iter().map(|bin| bin.texts).sum::<usize>(), 5);
        assert!(found.calibration.iter().any(|bin| bin.texts == 2 && bin.positive == 0.5), "{:?}", found.calibration);
    }

    #[test]
    fn intervals_are_wilsons() {
        // Wilson's interval of 8 of 10, as tables have it.
        let found = wilson(8, 10);
        assert!((found.low - 0.4902).abs() < 1e-4 && (found.high - 0.9433).abs() < 1e-4, "{found:?}");
        assert_eq!(wilson(24, 24).high, 1.0);
    }

    #[test]
    fn one_class_has_no_area() {
        assert_eq!(auc(&[(1.0, true), (2.0, true)]), None);
        assert_eq!(Scores::of(&[(1.0, true)], 1.0).balanced_accuracy, None);
    }

    #[test]
    fn the_slope_makes_probabilities_of_scores() {
        // Scores of one half, of which three in four are right: the log odds are ln 3, up to the smoothing of targets.
        let scored: Vec<(f64, bool)> =
            (0..4000).map(|i| (if i % 2 == 0 { 0.5 } else { -0.5 }, (i % 2 == 0) ^ (i / 2 % 4 == 0))).collect();
        let found = slope_of_probability(&scored);
        assert!((found * 0.5 - 3f64.ln()).abs() < 0.01, "{found}");
        let contrary: Vec<(f64, bool)> = scored.iter().map(|&(score, label)| (-score, label)).collect();
        assert_eq!(slope_of_probability(&contrary), 0.0);
        assert_eq!(slope_of_probability(&[(0.0, true), (0.0, false)]), 0.0);
    }
}
