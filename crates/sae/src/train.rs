//! Training sparse autoencoders on activations that are given.
//!
//! Of each batch: the pre-activations of all features (`tiles.rs`, nearly all of the work); which features are active
//! (`select.rs`); what each active feature contributes to the gradient (`backward.rs`, sparse); and every feature's step
//! (`feature.rs`), so that gradients of all weights are never in memory together. Or a device does that (`device.rs`).

mod backward;
mod batches;
mod device;
mod feature;
mod fit;
mod on_device;
mod options;
mod parallel;
mod pursue;
pub(crate) mod random;
mod rows;
mod select;
mod start;
mod tiles;
mod trainer;

#[cfg(test)]
mod gradient_tests;
#[cfg(test)]
mod recovery_tests;

pub use batches::Batches;
pub use device::{Device, Later, Setup, StepFigures, StepScalars, Weights};
pub use fit::{Fit, feature_rows, fit};
pub use options::{Auxiliary, Method, TrainError, TrainOptions};
pub use rows::{ActivationRows, ChosenRows, MOST_LENGTH, RowsInMemory, of_usual_length};
pub use trainer::{Progress, Trainer, train};
