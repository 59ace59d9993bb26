//! Steering vectors: directions in the residual stream, and how well they hold what they are meant to hold.

mod conditional;
mod conditional_effect;
pub mod contrast;
mod extraction;
mod grid;
mod layer_choice;
mod layer_sweep;
mod made;
mod mean_difference;
mod model_difference;
mod principal_component;
mod random_direction;
mod robustness;
mod separability;
mod vocabulary;

pub use conditional::{
    ConditionPlan, ConditionTest, FEWEST_CONDITION_PROMPTS, FoundCondition, Gating, RandomCondition, find_condition,
};
pub use conditional_effect::{ConditionalPlan, ConditionalReport, GatedEffect, conditional_effect};
pub use contrast::{Contrast, TokenPair};
pub use extraction::{Extraction, LayerDirection, extract};
pub use grid::{GRID_FEWEST_PAIRS, GridCell, GridChoice, GridPlan, GridReading, GridReport, grid, tuned_grid};
pub use layer_choice::{LayerDivergence, layer_divergences};
pub use layer_sweep::{LayerSweep, LayerSweepPlan, Pick, PickedBy, SweptLayer, layer_sweep};
pub use made::Made;
pub use model_difference::{
    DifferenceAtLayer, DifferencePlan, FEWEST_DIFFERENCE_PROMPTS, ModelDifference, model_difference,
};
pub use random_direction::random_direction;
pub(crate) use random_direction::splitmix64;
pub use robustness::{AtStrength, FalseFriend, Fragility, RandomShare, Robustness, RobustnessPlan, robustness};
pub use separability::Separability;
pub use tiller_sites::VectorMethod;
pub use vocabulary::vocabulary_direction;
