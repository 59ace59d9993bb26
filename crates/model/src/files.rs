//! All that a model's files say of it.

use crate::{
    ChatTemplate, ChatTemplateError, Checkpoint, GgufCheckpoint, ModelConfig, ModelError, RepositoryError, Tokenizer,
    TokenizerError,
};
use tiller_formats::{ByteSource, Gguf, GgufError, Quant};

/// A model before its weights are loaded.
pub struct ModelFiles<C> {
    pub config: ModelConfig,
    pub tokenizer: Tokenizer,
    pub template: Option<ChatTemplate>,
    pub checkpoint: C,
}

/// Why a model's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelFilesError {
    #[error(transparent)]
    File(#[from] GgufError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    #[error(transparent)]
    Template(#[from] ChatTemplateError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl<S: ByteSource> ModelFiles<GgufCheckpoint<S>> {
    /// Reads the header of a GGUF file, and nothing of its weights.
    pub async fn from_gguf(source: S) -> Result<ModelFiles<GgufCheckpoint<S>>, ModelFilesError> {
        let gguf = Gguf::read(&source).await?;
        // That its architecture cannot be run says more of a file than what its tokenizer lacks.
        let config = ModelConfig::from_gguf(&gguf)?;
        let tokenizer = match gguf.metadata.find_str("tokenizer.ggml.model")? {
            Some(_) => Tokenizer::from_gguf(&gguf)?,
            None => Tokenizer::of_ids(config.vocab),
        };
        Ok(ModelFiles {
            config,
            tokenizer,
            template: ChatTemplate::from_gguf(&gguf)?,
            checkpoint: GgufCheckpoint::new(&gguf, source),
        })
    }
}

impl<C: Checkpoint> ModelFiles<C> {
    /// Numbers in all tensors.
    pub fn parameters(&self) -> u64 {
        self.checkpoint.tensors().values().map(|tensor| tensor.elements() as u64).sum()
    }

    /// The number format that most of them are in.
    pub fn quantisation(&self) -> Quant {
        let elements = |quant: Quant| -> u64 {
            let tensors = self.checkpoint.tensors().values().filter(|tensor| tensor.quant == quant);
            tensors.map(|tensor| tensor.elements() as u64).sum()
        };
        Quant::ALL.into_iter().max_by_key(|&quant| elements(quant)).expect("there are formats")
    }
}
