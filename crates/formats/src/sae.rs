//! Files of sparse autoencoders: SAELens's, Gemma Scope's, Gemma Scope 2's, Sparsify's, and any safetensors file whose tensors a
//! mapping names.
//!
//! The layouts differ in what they leave unsaid. What is not known here is refused by its name rather than passed over:
//! an SAE that is run in another way than it was trained gives features that look like features and mean nothing.

mod assemble;
mod error;
mod folder_names;
mod gemma_scope;
mod hook_names;
mod mapping;
mod npy;
mod options;
mod propose;
mod saelens;
mod sparsify;
mod tensors;
mod write;
mod zip;

use crate::{ByteSource, Folder};
pub use error::SaeFileError;
pub use folder_names::site_of_folder;
pub use npy::npz_tensors;
pub use propose::propose_mapping;
pub use tensors::{FileTensor, FileTensors};
use tiller_sae::Sae;
pub use write::Precision;

/// The longest configuration that is read.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

pub(crate) const SAELENS_CONFIG: &str = "cfg.json";
pub(crate) const SAELENS_WEIGHTS: &str = "sae_weights.safetensors";
const SPARSIFY_WEIGHTS: &str = "sae.safetensors";
const GEMMA_SCOPE_WEIGHTS: &str = "params.npz";
const GEMMA_SCOPE_2_WEIGHTS: &str = "params.safetensors";
const GEMMA_SCOPE_2_CONFIG: &str = "config.json";
/// Names the tensors of a safetensors file of any other layout.
const MAPPING: &str = "mapping.json";

/// A sparse autoencoder as a file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct SaeFile {
    pub sae: Sae,
    pub trained_on: TrainedOn,
}

/// What an SAE was trained on, as far as its file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainedOn {
    /// The model's name, such as `gemma-2-2b`.
    pub model: Option<String>,
    /// The activation that is read, under TransformerLens's name (`blocks.12.hook_resid_post`).
    pub site: Option<String>,
    /// The activation that a transcoder writes.
    pub site_out: Option<String>,
    /// The head alone whose activation is read, where the site has heads.
    pub head: Option<u32>,
    /// Whether each text began with the model's first token (BOS).
    pub prepend_bos: Option<bool>,
    /// Tokens in a text.
    pub context: Option<u32>,
    pub texts: Option<String>,
    /// Where Neuronpedia has pages of its features, such as `gpt2-small/8-res-jb`.
    pub neuronpedia: Option<String>,
    /// Whether the mean over its numbers had been taken off each residual stream, as TransformerLens does to models with
    /// a LayerNorm (`center_writing_weights`).
    pub centred: Option<bool>,
}

/// What a file may leave unsaid, said by whoever opens it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadOptions {
    /// The activation that is read.
    pub site: Option<String>,
    /// The activation that is written: the file holds a transcoder.
    pub site_out: Option<String>,
    /// What activations were multiplied by before they were encoded (`expected_average_only_in`), folded into the weights
    /// when they are read: `sqrt(d_in)` over their mean length; 1 where it is folded in already.
    pub input_scale: Option<f32>,
}

impl SaeFile {
    /// Reads the SAE in a folder: of SAELens (`cfg.json` and `sae_weights.safetensors`), Gemma Scope (`params.npz`), Gemma
    /// Scope 2 (`params.safetensors`, and `config.json` if it is there), Sparsify (`cfg.json` and `sae.safetensors`), or any safetensors file beside a
    /// `mapping.json`. What is allocated is bounded by the sizes of the files.
    pub async fn read(folder: &impl Folder, options: &ReadOptions) -> Result<SaeFile, SaeFileError> {
        let file = if let Some(mapping) = config(folder, MAPPING).await? {
            mapping::read(folder, &mapping, options).await?
        } else if let Some(config) = config(folder, SAELENS_CONFIG).await? {
            let is_sparsify = sparsify::is_config(&config);
            let name = if is_sparsify { SPARSIFY_WEIGHTS } else { SAELENS_WEIGHTS };
            let weights = folder.open(name).await?.ok_or(SaeFileError::Missing { file: name })?;
            let tensors = FileTensors::from_safetensors(&weights).await?;
            let read = if is_sparsify { sparsify::read } else { saelens::read };
            read(&config, tensors, options)?
        } else if let Some(weights) = folder.open(GEMMA_SCOPE_WEIGHTS).await? {
            gemma_scope::read(npz_tensors(&weights).await?, options)?
        } else if let Some(weights) = folder.open(GEMMA_SCOPE_2_WEIGHTS).await? {
            let config = config(folder, GEMMA_SCOPE_2_CONFIG).await?;
            gemma_scope::read_2(config, FileTensors::from_safetensors(&weights).await?, options)?
        } else {
            return Err(SaeFileError::NoSae);
        };
        file.sae.check()?;
        Ok(file)
    }
}

type Config = serde_json::Map<String, serde_json::Value>;

/// A configuration; `None` where there is no such file.
async fn config(folder: &impl Folder, name: &'static str) -> Result<Option<Config>, SaeFileError> {
    let Some(file) = folder.open(name).await? else { return Ok(None) };
    if file.len() > MAX_CONFIG_BYTES {
        return Err(SaeFileError::Config { file: name, what: format!("it has {} bytes", file.len()) });
    }
    let bytes = file.read_at(0, file.len() as usize).await?;
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|error| SaeFileError::Config { file: name, what: error.to_string() })
}
