//! What the hub says when it does not give what was asked for: a status, a sentence, and a code that programs read.

use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// Something that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Repo,
    Revision,
    Entry,
}

/// Why a request has no answer.
#[derive(Debug)]
pub enum Refusal {
    Missing(Missing),
    /// A file vanished or cannot be read. Said plainly, since the reader owns this machine.
    Unreadable(anyhow::Error),
}

impl From<Missing> for Refusal {
    fn from(missing: Missing) -> Self {
        Refusal::Missing(missing)
    }
}

impl<E: Into<anyhow::Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Refusal::Unreadable(error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Refusal::Missing(missing) => missing.into_response(),
            Refusal::Unreadable(error) => {
                let sentence = format!("The local hub could not read a file of its cache: {error:#}");
                (StatusCode::INTERNAL_SERVER_ERROR, sentence).into_response()
            }
        }
    }
}

impl IntoResponse for Missing {
    fn into_response(self) -> Response {
        let (code, sentence) = match self {
            Missing::Repo => ("RepoNotFound", "Repository not found"),
            Missing::Revision => ("RevisionNotFound", "Invalid rev id"),
            Missing::Entry => ("EntryNotFound", "Entry not found"),
        };
        let mut response = (StatusCode::NOT_FOUND, sentence).into_response();
        let headers = response.headers_mut();
        headers.insert("x-error-code", HeaderValue::from_static(code));
        headers.insert("x-error-message", HeaderValue::from_static(sentence));
        response
    }
}
