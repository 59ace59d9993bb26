//! Sparse autoencoders (SAEs): dictionaries of directions, few of which suffice to write an activation down.
//!
//! Numbers only: no model, no page, no GPU.

mod autoencoder;
mod compare;
mod decode;
mod encode;
mod error;
mod fold;
mod gradient_pursuit;
mod normalise;
mod part;
mod products;
mod pursuit;
pub mod train;

pub use autoencoder::{Activation, MOST_ITERATIONS, Normalisation, Sae, Transcoder};
pub use compare::{Comparison, Matched, SAME, compare};
pub use encode::Features;
pub use error::SaeError;
