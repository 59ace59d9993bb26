//! Ridge regression on labels of plus and minus one.

use super::features::Features;
use super::fit::Cut;
use crate::positive_definite::Factor;

/// `w = (X^T X + alpha I)^-1 X^T y`, y the labels as plus and minus one, centred as X is; the intercept is their mean
/// (Hoerl and Kennard 1970; scikit-learn's RidgeClassifier). `factor`: of `X^T X / n + alpha / n I`.
pub(super) fn ridge(features: &Features, factor: &Factor, labels: &[bool]) -> Cut {
    let n = labels.len() as f64;
    let sign = |&label: &bool| if label { 1.0 } else { -1.0 };
    let mean = labels.iter().map(sign).sum::<f64>() / n;
    let targets: Vec<f64> = labels.iter().map(|label| (sign(label) - mean) / n).collect();
    Cut { vector: factor.solve(&features.weighted_sum(&targets)), intercept: mean }
}
