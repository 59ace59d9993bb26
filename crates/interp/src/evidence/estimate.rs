//! A mean over examples, and how far it can be trusted.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The mean of one number an example, with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    pub mean: f64,
    /// The 95 % interval of the mean by Student's t: mean ± t s / √n with n - 1 degrees of freedom. `None` for one
    /// example, which says nothing about others.
    pub interval: Option<(f64, f64)>,
    pub examples: usize,
}

/// Of the two-sided 95 % interval.
const UPPER: f64 = 0.975;

impl Estimate {
    /// `None` where there are no values, or one is not finite.
    pub fn of(values: &[f64]) -> Option<Estimate> {
        let n = values.len() as f64;
        if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let t = StudentsT::new(0.0, 1.0, n - 1.0).ok().map(|t| t.inverse_cdf(UPPER));
        let interval = t.map(|t| t * (variance / n).sqrt()).map(|half| (mean - half, mean + half));
        Some(Estimate { mean, interval, examples: values.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_students() {
        // scipy.stats.t.interval(0.95, 4, loc=3, scale=sem([1, 2, 3, 4, 5])).
        let found = Estimate::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let (low, high) = found.interval.unwrap();
        assert_eq!((found.mean, found.examples), (3.0, 5));
        assert!((low - 1.0367568385224393).abs() < 1e-8 && (high - 4.9632431614775605).abs() < 1e-8, "{low} {high}");
    }

    #[test]
    fn one_example_has_no_interval_and_none_has_no_mean() {
        assert_eq!(Estimate::of(&[2.0]), Some(Estimate { mean: 2.0, interval: None, examples: 1 }));
        assert_eq!(Estimate::of(&[]), None);
        assert_eq!(Estimate::of(&[1.0, f64::NAN]), None);
    }

    #[test]
    fn examples_that_agree_leave_no_doubt() {
        assert_eq!(Estimate::of(&[0.5; 4]).unwrap().interval, Some((0.5, 0.5)));
    }
}
