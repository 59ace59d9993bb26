//! Bayesian optimisation: finding the best of many settings, each of which takes long to try, in a few tries (Snoek,
//! Larochelle and Adams 2012, "Practical Bayesian Optimization of Machine Learning Algorithms").

mod gaussian_process;
mod tuner;

pub use gaussian_process::{GaussianProcess, Hyperparameters, Posterior};
pub use tuner::{Outcome, Tuner};
