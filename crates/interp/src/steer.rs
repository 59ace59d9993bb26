//! Steering vectors: directions in the residual stream, and how well they hold what they are meant to hold.

pub mod contrast;
mod extraction;
mod grid;
mod made;
mod mean_difference;
mod principal_component;
mod random_direction;
mod separability;
mod vocabulary;

pub use contrast::{Contrast, TokenPair};
pub use extraction::{Extraction, LayerDirection, extract};
pub use grid::{GRID_FEWEST_PAIRS, GridCell, GridChoice, GridPlan, GridReading, GridReport, grid, tuned_grid};
pub use made::Made;
pub use random_direction::random_direction;
pub(crate) use random_direction::splitmix64;
pub use separability::Separability;
pub use tiller_sites::VectorMethod;
pub use vocabulary::vocabulary_direction;
