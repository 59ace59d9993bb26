//! Why files cannot be read as a sparse autoencoder.

use crate::SafetensorsError;
use std::io;
use tiller_sae::SaeError;

/// Every message says what happened and what to do.
#[derive(Debug, thiserror::Error)]
pub enum SaeFileError {
    #[error("the file could not be read: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Safetensors(#[from] SafetensorsError),
    #[error(transparent)]
    Sae(#[from] SaeError),
    #[error(
        "there is no SAE here: choose a folder with cfg.json and sae_weights.safetensors (SAELens), with params.npz (Gemma \
         Scope), with params.safetensors (Gemma Scope 2), with cfg.json and sae.safetensors (Sparsify), or with a \
         mapping.json"
    )]
    NoSae,
    #[error(
        "\"{file}\" has no two matrices of the same shape whose names tell an encoder and a decoder: put a mapping.json \
         beside it that says which of its tensors are W_enc, b_enc, W_dec and b_dec"
    )]
    NoMatrices { file: String },
    #[error("the SAE's {file} is missing: download it, and put it beside the others")]
    Missing { file: &'static str },
    #[error("the SAE's {file} cannot be read ({what}): download it again")]
    Config { file: &'static str, what: String },
    #[error("the SAE's configuration has no \"{option}\": add it, as the SAE was trained")]
    NoOption { option: &'static str },
    #[error(
        "the SAE's configuration says {option} = {value}, which is not known here: use an SAE of another kind; known are \
         {known}"
    )]
    UnknownValue { option: &'static str, value: String, known: &'static str },
    #[error(
        "the SAE's configuration has the option \"{option}\", which is not known here, and an SAE that is run otherwise than \
         it was trained means nothing: use another SAE"
    )]
    UnknownOption { option: String },
    #[error(
        "the SAE has no tensor \"{name}\", which its kind ({kind}) needs: choose its other file, or download it again"
    )]
    NoTensor { name: &'static str, kind: &'static str },
    #[error(
        "the SAE has a tensor \"{name}\" that its kind ({kind}) has no use for: its configuration is of another SAE, or it \
         is of a kind that is not known here"
    )]
    UnknownTensor { name: String, kind: &'static str },
    #[error(
        "the SAE's tensor \"{name}\" has the shape {found}, where {expected} is needed: choose the files of one SAE"
    )]
    Shape { name: &'static str, found: String, expected: String },
    #[error("the SAE's tensor \"{name}\" is stored as {dtype}: save it as F32, F16 or BF16")]
    Type { name: String, dtype: String },
    #[error(
        "the SAE's tensor \"{name}\" is stored as I8 without a scale for each row or column: save it as F32, F16 or BF16"
    )]
    NoScale { name: String },
    #[error("params.npz cannot be read ({what}): download it again")]
    Npz { what: String },
    #[error(
        "the SAE was trained on activations times one number (expected_average_only_in), which its files do not say: give \
         that number (the root of its width over the activations' mean length), or 1 where it is folded into the weights"
    )]
    NoInputScale,
    #[error(
        "activations cannot be multiplied by {0} here: that number has to be above 0, and of a transcoder or of matching \
         pursuit it has to be 1"
    )]
    InputScale(f32),
}

/// Text out of a file, as it may be shown.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(100).collect::<String>().escape_debug().to_string()
}
