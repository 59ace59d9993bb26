//! Steering vectors: directions in the residual stream, and how well they hold what they are meant to hold.

pub mod contrast;
mod mean_difference;
mod random_direction;
mod separability;

pub use contrast::{Contrast, TokenPair};
pub use mean_difference::{LayerDirection, MeanDifference, mean_difference};
pub use random_direction::random_direction;
pub use separability::Separability;
