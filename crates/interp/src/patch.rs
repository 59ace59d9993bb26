//! What an answer depends on: activations put from one run into another, and parts taken away.

mod ablation;
mod activation_patching;
mod metric;

pub use ablation::{Ablation, AblationBaseline, AblationLayer, AblationStep, Effect, Replacement, ablation_sweep};
pub use activation_patching::{PatchBaseline, PatchCell, PatchStep, Patching, activation_patching};
pub use metric::Metric;
