//! Bytes to tensors and back: GGUF, safetensors, control vectors, sparse autoencoders. No GPU, no network, no notion of what a model is.
//!
//! Everything read here may come from a stranger: it is checked before anything is allocated for it, and refused with a
//! sentence that says what is wrong.

pub mod blocks;
pub mod control_vector;
mod folder;
pub mod gguf;
mod quant;
pub mod sae;
pub mod safetensors;
mod source;
pub mod write;

pub use blocks::{dequantise, quantise};
pub use control_vector::{ControlVector, ControlVectorError, Numbering};
#[cfg(not(target_arch = "wasm32"))]
pub use folder::DiskFolder;
pub use folder::Folder;
pub use gguf::{Gguf, GgufError, Metadata, TensorInfo, Value};
pub use quant::Quant;
pub use sae::{Precision, ReadOptions, SaeFile, SaeFileError, TrainedOn, propose_mapping, site_of_folder};
pub use safetensors::{Dtype, Safetensors, SafetensorsError, StoredTensor};
pub use source::ByteSource;
#[cfg(not(target_arch = "wasm32"))]
pub use source::FileSource;
pub use write::{GgufWriter, WriteError};
