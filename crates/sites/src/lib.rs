//! The names of activations, and the plain data that reads and changes them.
//!
//! A [`Site`] names an activation as TransformerLens does. [`Positions`] says at which tokens an edit acts. [`Sampling`]
//! says how the next token is drawn. All of it is serialisable: it is what a link contains. This crate knows nothing of
//! models, devices or pages, so that the page can speak of an experiment without linking the engine.

mod positions;
mod sampling;
mod site;

pub use positions::Positions;
pub use sampling::Sampling;
pub use site::{Site, UnknownSite};
