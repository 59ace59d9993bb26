//! How a probe is fitted.

use crate::choice::{UnknownChoice, named};
use std::str::FromStr;

/// A way to put a cut between the activations of two classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProbeMethod {
    /// Logistic regression with an L2 penalty, on standardised activations.
    #[default]
    Logistic,
    /// The difference of the classes' means (Marks and Tegmark 2023).
    MassMean,
    /// The same through the inverse covariance within the classes, shrunk, of standardised activations.
    MassMeanWhitened,
    /// Linear discriminant analysis on standardised activations.
    Lda,
    /// Ridge regression on labels of plus and minus one, on standardised activations.
    Ridge,
}

impl ProbeMethod {
    pub const ALL: [ProbeMethod; 5] = [
        ProbeMethod::Logistic,
        ProbeMethod::MassMean,
        ProbeMethod::MassMeanWhitened,
        ProbeMethod::Lda,
        ProbeMethod::Ridge,
    ];

    /// As recipes and files have it.
    pub fn name(self) -> &'static str {
        match self {
            ProbeMethod::Logistic => "logistic",
            ProbeMethod::MassMean => "mass-mean",
            ProbeMethod::MassMeanWhitened => "mass-mean-whitened",
            ProbeMethod::Lda => "lda",
            ProbeMethod::Ridge => "ridge",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            ProbeMethod::Logistic => "Logistic regression",
            ProbeMethod::MassMean => "Mass mean",
            ProbeMethod::MassMeanWhitened => "Mass mean, whitened",
            ProbeMethod::Lda => "LDA",
            ProbeMethod::Ridge => "Ridge",
        }
    }

    pub fn explanation(self) -> &'static str {
        match self {
            ProbeMethod::Logistic => "The cut that makes the training labels most probable, its weights held small.",
            ProbeMethod::MassMean => {
                "Along the difference of the two classes' means, cut half way. It learns least from the texts."
            }
            ProbeMethod::MassMeanWhitened => {
                "The same, with directions in which both classes vary anyway counting for less."
            }
            ProbeMethod::Lda => "Linear discriminant analysis: two Gaussian classes of one covariance, shrunk.",
            ProbeMethod::Ridge => "Least squares on labels of plus and minus one, its weights held small.",
        }
    }
}

impl FromStr for ProbeMethod {
    type Err = UnknownChoice;

    fn from_str(name: &str) -> Result<ProbeMethod, UnknownChoice> {
        named(name, &ProbeMethod::ALL, ProbeMethod::name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        assert!(ProbeMethod::ALL.into_iter().all(|method| method.name().parse() == Ok(method)));
        assert!("".parse::<ProbeMethod>().is_err());
    }
}
