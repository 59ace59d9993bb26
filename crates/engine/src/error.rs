//! What can go wrong in the engine.

use tiller_kernels::GpuError;
use tiller_sites::UnknownSite;

/// Every message says what happened and what to do.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Gpu(#[from] GpuError),
    #[error(transparent)]
    Model(#[from] tiller_model::ModelError),
    #[error(transparent)]
    Site(#[from] UnknownSite),
    #[error(transparent)]
    Checkpoint(#[from] tiller_model::CheckpointError),
    #[error("the edit at {site} cannot be made: {what}")]
    Edit { site: tiller_sites::Site, what: String },
    #[error("the SAE cannot be run at {site}: {what}")]
    Sae { site: tiller_sites::Site, what: String },
    #[error("the CPU backend failed ({0}): load the model again")]
    Cpu(#[from] candle_core::Error),
    #[error(
        "the vector for {site} has {found} numbers, but this model's activation there has {expected}: use a vector made with this model"
    )]
    VectorWidth { site: tiller_sites::Site, expected: usize, found: usize },
    #[error("the text has {tokens} tokens, but there is room for {room}: shorten it")]
    TooLong { tokens: usize, room: usize },
    #[error("not captured: {0}")]
    NotCaptured(String),
    #[error("there is no text: write something first")]
    Empty,
    #[error("token {0} is not in this model's vocabulary")]
    UnknownToken(u32),
    #[error("at most {limit} edits can act at once")]
    TooManyEdits { limit: usize },
    #[error("at most {limit} runs can be written side by side")]
    TooManyLanes { limit: usize },
    #[error("stopped")]
    Cancelled,
}
