//! What the hub says when something is not there: a status, a sentence, and a code that programs read.

use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Repo,
    Revision,
    Entry,
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

/// A file that vanished or cannot be read between two looks at it: said plainly, since the reader owns this machine.
pub fn unreadable(error: std::io::Error) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("The local hub could not read a file of its cache: {error}"))
        .into_response()
}
