//! What a model is: its configuration, the names of its weights, its tokenizer and its chat template, all read from a
//! GGUF file or from the files of a repository. Nothing is computed here, and nothing is known of devices, pages or the network.

mod chat;
mod checkpoint;
mod config;
mod files;
mod repository;
mod sites;
mod tiny;
mod tokenizer;
mod weights;

pub use chat::{ChatTemplate, ChatTemplateError, Message};
pub use checkpoint::{Checkpoint, CheckpointError, GgufCheckpoint, TensorShape};
pub use config::{
    Activation, AttentionConfig, LayerAttention, MlpConfig, ModelConfig, ModelError, NormConfig, NormKind, RopeConfig,
    RopeFactors, SUPPORTED_ARCHITECTURES,
};
pub use files::{ModelFiles, ModelFilesError};
pub use repository::{RepositoryCheckpoint, RepositoryError};
pub use sites::is_over_keys;
pub use tiller_sites::{CatalogueEntry, InvalidModelRef, ModelRef, catalogue};
pub use tiny::TinyLlama;
pub use tokenizer::{StreamDecoder, Tokenizer, TokenizerError};
pub use weights::{Weight, weights};
