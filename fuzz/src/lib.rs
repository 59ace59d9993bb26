//! What all fuzz targets share: bounds on memory and on messages that hold for every input.

mod bounded;
mod read;
pub mod tokenizer_input;

pub use bounded::{Bound, bounded};
pub use read::read;
