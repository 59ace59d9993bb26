//! The names of activations, and the plain data that reads and changes them.
//!
//! A [`Site`] names an activation as TransformerLens does. [`Positions`] says at which tokens an edit acts. [`Sampling`]
//! says how the next token is drawn. A [`VectorMethod`] and a [`ProbeMethod`] say by which method a vector or a probe is
//! made. A [`ModelRef`] says which file the model is. All of it is what a link contains, by name or serialised. This crate knows nothing of models, devices or pages, so that the page can speak of an experiment
//! without linking the engine.

mod access_token;
mod catalogue;
mod choice;
mod model_ref;
mod patching;
mod positions;
mod probe_method;
mod sampling;
mod site;
mod vector_method;
mod vector_numbering;

pub use access_token::{AccessToken, InvalidToken};
pub use catalogue::{CatalogueEntry, catalogue};
pub use choice::UnknownChoice;
pub use model_ref::{InvalidModelRef, KEPT_HERE, ModelRef, PUBLIC_HUB, SAE_WEIGHTS};
pub use patching::{PatchDirection, PatchPlace};
pub use positions::Positions;
pub use probe_method::ProbeMethod;
pub use sampling::Sampling;
pub use site::{Site, UnknownSite};
pub use vector_method::VectorMethod;
pub use vector_numbering::VectorNumbering;
