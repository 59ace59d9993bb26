//! When an edit acts.

use crate::features::Dictionary;
use std::sync::Arc;
use tiller_sites::{Positions, Site};

/// Something that has to hold of a token for an edit to act on it.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The token is one of these.
    Token(Arc<[u32]>),
    /// What an activation says, by a number that is compared with a threshold.
    Activation {
        /// Reached by the pass before the edit's own site, or that site itself; what is read there is the activation
        /// before any edit of that site.
        site: Site,
        test: Test,
        /// Holds above the threshold, or else below it; strictly.
        above: bool,
        threshold: f32,
        /// The tokens at which it is looked at; at others it does not hold.
        positions: Positions,
        /// Once it held, it holds for all later tokens of the sequence.
        latched: bool,
    },
}

/// How an activation `h` becomes a number.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// `h . vector + bias`: a linear probe.
    Probe { vector: Arc<[f32]>, bias: f32 },
    /// The cosine of h and the vector.
    Cosine { vector: Arc<[f32]> },
    /// The cosine of h and `tanh(P h)`, P the projection onto the vector (Lee et al. 2024, "CAST").
    CosineToProjection { vector: Arc<[f32]> },
    /// The value of a feature of a sparse autoencoder; among the k largest where it keeps those: a probe along the
    /// encoder's row would say nothing of the others.
    Feature { sae: Dictionary, feature: u32 },
}

impl Test {
    /// The vector that it takes; a feature has its own encoder.
    pub(crate) fn vector(&self) -> Option<&Arc<[f32]>> {
        match self {
            Test::Probe { vector, .. } | Test::Cosine { vector } | Test::CosineToProjection { vector } => Some(vector),
            Test::Feature { .. } => None,
        }
    }
}
