//! Linear discriminant analysis, and mass-mean with the classes' covariance, which is the same without its prior.

use super::covariance::{Classes, Within};
use super::fit::Cut;
use crate::positive_definite::Factor;

/// What a class's share among the training texts counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priors {
    /// Each class is as probable as it is common: scikit-learn's LinearDiscriminantAnalysis with its solver "lsqr".
    Shares,
    /// Both classes are as probable: `theta^T S_w^-1` of Marks and Tegmark 2023, section 5.
    Equal,
}

/// The inverse covariance within classes, shrunk, times the difference of means. The score is the log odds of Gaussian
/// classes of one covariance.
pub(super) fn lda(within: &Within<'_>, classes: &Classes, near: &Factor, priors: Priors) -> Cut {
    let vector = within.whitened_difference(near);
    let odds = match priors {
        Priors::Shares => (classes.positive / (1.0 - classes.positive)).ln(),
        Priors::Equal => 0.0,
    };
    Cut { intercept: odds - classes.midpoint(&vector), vector }
}
