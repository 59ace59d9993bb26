//! Where steps are made, if not here: a graphics device, say. What it has to do is what [`Trainer`](super::Trainer) does
//! itself in [`Trainer::step`](super::Trainer::step); schedule, dead features, and what becomes of the weights stay here.

use super::{Auxiliary, Method, TrainError};
use std::future::Future;
use std::pin::Pin;

/// What is waited for.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, TrainError>> + 'a>>;

/// Makes steps, and keeps the weights with Adam's means while it does. Errors are [`TrainError::Device`].
pub trait Device: Send + Sync {
    /// Makes a step on a batch, `[n, width]`, whose mean length is `sqrt(width)`. Need not wait for it.
    fn step(&mut self, batch: &[f32], scalars: &StepScalars) -> Result<(), TrainError>;

    /// How the last step went.
    fn figures(&mut self) -> Later<'_, StepFigures>;

    /// The errors of the last step, `[n, width]`: reconstructions less activations.
    fn errors(&mut self) -> Later<'_, Vec<f32>>;

    /// As the last step left them.
    fn weights(&mut self) -> Later<'_, Weights>;

    /// Makes a feature anew, as one that was just active: `encoder` and `decoder` are `[width]`, `scalars` its bias and
    /// the logarithm of its threshold.
    fn replace(
        &mut self,
        feature: usize,
        encoder: &[f32],
        decoder: &[f32],
        scalars: [f32; 2],
    ) -> Result<(), TrainError>;
}

/// What does not change while training goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    pub method: Method,
    pub auxiliary: Option<Auxiliary>,
    /// A feature that was not active for as many activations is dead.
    pub dead_after: u64,
    /// Activations in a batch.
    pub batch: usize,
    pub width: usize,
    /// Where training starts.
    pub weights: Weights,
}

/// What is learnt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// `[d_sae, width]`
    pub encoder: Vec<f32>,
    /// `[d_sae, width]`, of length 1.
    pub decoder: Vec<f32>,
    /// `[d_sae]`
    pub biases: Vec<f32>,
    /// `[d_sae]`; only JumpReLU learns them.
    pub ln_thresholds: Vec<f32>,
    /// `[width]`
    pub bias: Vec<f32>,
}

/// What differs between two steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepScalars {
    /// Adam's step, `rate / (1 - beta_1^t)`, and `1 / (1 - beta_2^t)`.
    pub size: f32,
    pub root: f32,
    /// How much of the penalty counts, from 0 to 1.
    pub penalty: f32,
}

/// How a step went.
#[derive(Clone, Debug, PartialEq)]
pub struct StepFigures {
    /// Of each activation.
    pub squared_errors: Vec<f32>,
    /// For how many activations each feature was silent (many, where it is more than a device can count), and at how many
    /// of the batch it is active.
    pub silent_for: Vec<u64>,
    pub active: Vec<u32>,
    /// BatchTopK's: the mean of the smallest value that a batch's features had.
    pub lowest: Option<f32>,
}
