//! The difference of the classes' means.

use super::covariance::Classes;
use super::fit::Cut;

/// `theta = mean(positive) - mean(negative)`, cut half way (Marks and Tegmark 2023, "The Geometry of Truth", section 5).
/// Nothing but the means is learnt.
pub(super) fn mass_mean(classes: &Classes) -> Cut {
    let vector = classes.difference.clone();
    Cut { intercept: -classes.midpoint(&vector), vector }
}
