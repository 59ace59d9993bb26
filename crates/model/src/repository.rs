//! A model as repositories of the hub hold it: `config.json`, weights as safetensors in one file or several, and
//! `tokenizer.json` with what goes with it.

mod checkpoint;
mod config;
mod files;
mod layout;
mod names;
mod options;
mod rope;
mod tokenizer;

use crate::weights::check_weights;
use crate::{Checkpoint, CheckpointError, ModelError, ModelFiles, ModelFilesError};
use files::{LONGEST_CONFIG, find_json, json};
use options::Options;
use serde_json::Value;
use std::io;
use tiller_formats::{Folder, Quant, SafetensorsError};

pub use checkpoint::RepositoryCheckpoint;

/// Why the files of a repository are no model that can be run.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    #[error("there is no {file}: choose a folder or repository with config.json and weights as .safetensors")]
    MissingFile { file: String },
    #[error("{file} could not be read ({error}): try again")]
    Unreadable { file: String, error: io::Error },
    #[error("{file} has {found} bytes, more than the {limit} that are read: choose another model")]
    TooLong { file: String, found: u64, limit: u64 },
    #[error("{file} is damaged ({what}): download it again")]
    Damaged { file: String, what: String },
    #[error("{file}: {error}")]
    Weights { file: String, error: SafetensorsError },
}

impl<F: tiller_formats::ByteSource> ModelFiles<RepositoryCheckpoint<F>> {
    /// Reads everything but the weights' numbers. With `quantise`, matrices are rounded to that format when they are
    /// read (those whose rows are whole blocks of it; tables of positions stay as they are).
    pub async fn from_repository<R: Folder<File = F>>(
        folder: &R,
        quantise: Option<Quant>,
    ) -> Result<ModelFiles<RepositoryCheckpoint<F>>, ModelFilesError> {
        let json = json(folder, "config.json", LONGEST_CONFIG).await?;
        let options = Options::new(&json)?;
        // What cannot be run is refused before any weights are fetched.
        let (mut config, family) = config::read(&options)?;
        let tied = config.tied_embeddings;
        let checkpoint = RepositoryCheckpoint::open(folder, family, &config, quantise).await?;
        config.tied_embeddings = !checkpoint.tensors().contains_key("output.weight");
        if config.tied_embeddings && !tied {
            let name = "lm_head.weight".to_string();
            return Err(ModelError::from(CheckpointError::Missing { name }).into());
        }
        check_weights(checkpoint.tensors(), &config)?;

        let generation = find_json(folder, "generation_config.json", LONGEST_CONFIG).await?;
        let ends = [Some(&json), generation.as_ref()].into_iter().flatten().flat_map(end_tokens).collect();
        let (tokenizer, template) = tokenizer::read(folder, config.vocab, ends).await?;
        Ok(ModelFiles { config, tokenizer, template, checkpoint })
    }
}

/// `eos_token_id`: a number or several.
fn end_tokens(json: &Value) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match &json["eos_token_id"] {
        Value::Array(ids) => ids.iter().filter_map(id).collect(),
        value => id(value).into_iter().collect(),
    }
}
