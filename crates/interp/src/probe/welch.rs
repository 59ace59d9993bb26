//! Whether two samples' means differ.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Welch's t-test, two-sided (Welch 1947): the samples' variances may differ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Welch {
    /// Positive where the first sample's mean is larger.
    pub t: f64,
    /// Degrees of freedom, as Welch and Satterthwaite approximate them.
    pub freedom: f64,
    /// The probability of so large a difference, either way, where there is none.
    pub p: f64,
}

impl Welch {
    /// `None` where a sample has fewer than two values, one is not finite, or nothing in either varies.
    pub fn of(first: &[f64], second: &[f64]) -> Option<Welch> {
        let moments = |values: &[f64]| {
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
            (mean, variance / count, count - 1.0)
        };
        if first.len() < 2 || second.len() < 2 {
            return None;
        }
        let ((mean_1, error_1, free_1), (mean_2, error_2, free_2)) = (moments(first), moments(second));
        let error = error_1 + error_2;
        let t = (mean_1 - mean_2) / error.sqrt();
        let freedom = error.powi(2) / (error_1.powi(2) / free_1 + error_2.powi(2) / free_2);
        if !t.is_finite() || !freedom.is_finite() {
            return None;
        }
        let p = 2.0 * StudentsT::new(0.0, 1.0, freedom).ok()?.cdf(-t.abs());
        Some(Welch { t, freedom, p })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_vary_has_no_test() {
        assert_eq!(Welch::of(&[1.0; 4], &[1.0; 4]), None);
        assert_eq!(Welch::of(&[1.0; 4], &[0.0; 4]), None);
        assert_eq!(Welch::of(&[1.0], &[0.0, 1.0]), None);
        assert_eq!(Welch::of(&[1.0, f64::NAN], &[0.0, 1.0]), None);
    }
}
