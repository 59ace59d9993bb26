//! Bytes to tensors and back. No GPU, no network.

mod quant;

pub use quant::Quant;
