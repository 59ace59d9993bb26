//! What a search over layers and strengths has found.

use serde::{Deserialize, Serialize};

/// One layer and strength.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GridCell {
    pub layer: u32,
    pub strength: f32,
    /// `None` where the outputs were not finite.
    pub found: Option<GridReading>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GridReading {
    /// What steering adds to the log odds of a pair's positive text against its negative one: nats, mean over pairs.
    pub effect: f64,
    /// Of the neutral text.
    pub perplexity: f64,
    /// Kullback-Leibler divergence from the plain next-token distribution over the neutral text, in nats.
    pub divergence: f64,
}

/// What the search comes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GridReport {
    pub perplexity_plain: f64,
    /// Pairs that chose.
    pub choosing: u32,
    /// `None` where no cell had a positive effect at an acceptable cost.
    pub chosen: Option<GridChoice>,
}

/// The chosen cell, measured on the pairs that had no part in the choice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GridChoice {
    pub layer: u32,
    pub strength: f32,
    pub effect: Estimate,
    pub perplexity: f64,
    pub divergence: f64,
    /// Random directions of the same length, at the same layer.
    pub random: Vec<GridReading>,
}

/// A mean over examples with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub mean: f64,
    pub interval: Option<(f64, f64)>,
    pub examples: u32,
}
