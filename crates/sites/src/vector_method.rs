//! How a direction is made of contrasting pairs.

use crate::choice::{UnknownChoice, named};
use std::str::FromStr;

/// A way to make a direction of the pairs' activations, read at their last tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum VectorMethod {
    /// The mean of the pairs' differences (Rimsky et al. 2023, "Steering Llama 2 via Contrastive Activation Addition";
    /// Marks and Tegmark 2023, "The Geometry of Truth", call the same direction mass-mean).
    #[default]
    MeanDifference,
    /// The first principal component of the pairs' differences, as repeng's `pca_diff` has it (Vogel 2024, after Zou et
    /// al. 2023, "Representation Engineering"): the mean difference is taken off before, so that the component is how
    /// differences vary, not what they share.
    PcaDifference,
    /// The first principal component of the texts with the middle of their pair taken off, as repeng's `pca_center` has
    /// it. These are plus and minus half the differences, whose mean is zero: it is the first right singular vector of
    /// the differences themselves, no mean subtracted, and what they share counts.
    PcaCenter,
    /// The mean difference through the inverse of the covariance within the two sides, shrunk: the direction of linear
    /// discriminant analysis (Fisher 1936), and of Marks and Tegmark's whitened mass-mean.
    Lda,
    /// The weights of a logistic regression that tells the two sides apart, as of the probe of that name.
    Logistic,
}

impl VectorMethod {
    pub const ALL: [VectorMethod; 5] = [
        VectorMethod::MeanDifference,
        VectorMethod::PcaDifference,
        VectorMethod::PcaCenter,
        VectorMethod::Lda,
        VectorMethod::Logistic,
    ];

    /// As recipes and files have it.
    pub fn name(self) -> &'static str {
        match self {
            VectorMethod::MeanDifference => "mean-diff",
            VectorMethod::PcaDifference => "pca-diff",
            VectorMethod::PcaCenter => "pca-center",
            VectorMethod::Lda => "lda",
            VectorMethod::Logistic => "logistic",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            VectorMethod::MeanDifference => "Mean difference",
            VectorMethod::PcaDifference => "PCA of what varies",
            VectorMethod::PcaCenter => "PCA of the differences",
            VectorMethod::Lda => "LDA",
            VectorMethod::Logistic => "Logistic probe",
        }
    }

    pub fn explanation(self) -> &'static str {
        match self {
            VectorMethod::MeanDifference => "The mean difference of the two sides. Simple, and the best to begin with.",
            VectorMethod::PcaDifference => {
                "repeng's pca_diff: the first component of the pairs' differences, their mean taken off. It finds how the pairs differ from one another, which need not be what they share."
            }
            VectorMethod::PcaCenter => {
                "repeng's pca_center: the first component of each pair around its middle. It finds what the differences share, the largest ones first."
            }
            VectorMethod::Lda => {
                "The mean difference, with directions in which both sides vary anyway counting for less. It tells the sides apart best, which need not steer best."
            }
            VectorMethod::Logistic => {
                "The weights of a logistic regression that tells the sides apart. It reads best, which need not steer best."
            }
        }
    }
}

impl FromStr for VectorMethod {
    type Err = UnknownChoice;

    fn from_str(name: &str) -> Result<VectorMethod, UnknownChoice> {
        named(name, &VectorMethod::ALL, VectorMethod::name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        assert!(VectorMethod::ALL.into_iter().all(|method| method.name().parse() == Ok(method)));
        let error = "pca".parse::<VectorMethod>().unwrap_err().to_string();
        assert!(error.contains("pca-diff, pca-center"), "{error}");
    }
}
