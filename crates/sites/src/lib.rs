//! The names of activations, and the plain data that reads and changes them.
//!
//! A [`Site`] names an activation as TransformerLens does. [`Positions`] says at which tokens an edit acts. [`Sampling`]
//! says how the next token is drawn. A [`ModelRef`] says which file the model is. All of it is serialisable: it is what
//! a link contains. This crate knows nothing of models, devices or pages, so that the page can speak of an experiment
//! without linking the engine.

mod access_token;
mod catalogue;
mod model_ref;
mod patching;
mod positions;
mod sampling;
mod site;

pub use access_token::{AccessToken, InvalidToken};
pub use catalogue::{CatalogueEntry, catalogue};
pub use model_ref::{InvalidModelRef, ModelRef, PUBLIC_HUB};
pub use patching::{PatchDirection, PatchPlace, UnknownChoice};
pub use positions::Positions;
pub use sampling::Sampling;
pub use site::{Site, UnknownSite};
