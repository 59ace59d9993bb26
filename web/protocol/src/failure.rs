//! How a failure is told.

use serde::{Deserialize, Serialize};

/// Something went wrong: what, and what to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// A few words ("The model could not be loaded").
    pub title: String,
    /// What happened and what to do.
    pub message: String,
    /// Trying the same again may help.
    pub retry: bool,
    /// What else may help.
    pub remedy: Option<Remedy>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Remedy {
    /// An access token of the hub, or another one.
    Token,
    /// The CPU in the GPU's place.
    Cpu,
    /// A line to the network; with it, the page goes on by itself.
    Line,
}

impl Failure {
    /// Errors are written to stand after a colon; alone, `error` begins with a capital and ends with a full stop.
    pub fn new(title: &str, error: impl ToString, retry: bool) -> Failure {
        let error = error.to_string();
        let mut letters = error.chars();
        let begun: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        let message = if begun.ends_with(['.', '!', '?']) { begun } else { begun + "." };
        Failure { title: title.into(), message, retry, remedy: None }
    }
    pub fn with_remedy(self, remedy: Remedy) -> Failure {
        Failure { remedy: Some(remedy), ..self }
    }
}
