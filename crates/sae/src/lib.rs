//! Sparse autoencoders (SAEs): dictionaries of directions, few of which suffice to write an activation down.
//!
//! Numbers only: no model, no page, no GPU.

mod autoencoder;

pub use autoencoder::{Activation, Normalisation, Sae};
