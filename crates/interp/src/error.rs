//! What can go wrong in a method.

use tiller_engine::EngineError;

/// Every message says what happened and what to do.
#[derive(Debug, thiserror::Error)]
pub enum InterpError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("there are no pairs: write at least one text that has the concept and one that lacks it")]
    NoPairs,
    #[error("there are {pairs} pairs, and at least {needed} are needed: half of them choose, and half report")]
    TooFewPairs { pairs: usize, needed: usize },
    #[error("no strengths are named: name at least one")]
    NoStrengths,
    #[error("no layers are named: name at least one")]
    NoLayers,
    #[error("the text has {tokens} tokens, and none is at the positions asked for: name some of them")]
    NoPositions { tokens: usize },
    #[error("{site} holds numbers that are not finite: load the model again, or use another file of it")]
    NotFinite { site: tiller_engine::Site },
    #[error(
        "the edits make the model's output meaningless (it holds numbers that are not finite): lower their strength"
    )]
    Overdriven,
    #[error("the neutral text has {tokens} tokens, and needs at least {needed}: use a longer one")]
    NeutralTooShort { tokens: usize, needed: usize },
}
