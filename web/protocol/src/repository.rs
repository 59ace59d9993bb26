//! What a repository of the hub offers.

use serde::{Deserialize, Serialize};
use tiller_sites::ModelRef;

/// What can be chosen from a repository, smallest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RepositoryListing {
    pub repo: String,
    /// The commit that is listed; references name it, so that a link means these very files.
    pub commit: String,
    /// Files are given only to those who accepted the repository's terms.
    pub gated: bool,
    pub licence: Option<String>,
    pub choices: Vec<Choice>,
    /// The choice that is proposed, by index, and why: a clause that follows on "because".
    pub proposed: Option<(usize, String)>,
    /// The weights of the sparse autoencoders in it, by path.
    pub saes: Vec<ModelRef>,
    /// One sentence where no choice will work, though it could be loaded for its form.
    pub warning: Option<String>,
}

/// One way to load a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    pub what: What,
    /// Of all its files.
    pub bytes: u64,
    /// As the name says ("Q4_K_M").
    pub quantisation: Option<String>,
    pub fit: Fit,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum What {
    /// A GGUF file, which holds all of a model.
    File(ModelRef),
    /// `config.json`, `tokenizer.json` and the weights as safetensors.
    Folder(Vec<ModelRef>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fit {
    Loads,
    /// It may be more than this machine can hold.
    Large,
    /// It cannot be loaded, and why: a clause.
    Not(String),
}
