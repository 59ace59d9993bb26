//! What all fuzz targets share: bounds on memory and on messages that hold for every input.

mod bounded;
mod files;
mod read;
pub mod tiny_repository;
pub mod tokenizer_input;

pub use bounded::{Bound, bounded};
pub use files::{SEPARATOR, split_files};
pub use read::read;
