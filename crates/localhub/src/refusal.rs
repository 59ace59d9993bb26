//! What the hub says when it does not give what was asked for: a status, a sentence, and a code that programs read.

use crate::faults::Fault;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
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
        coded(StatusCode::NOT_FOUND, code, sentence)
    }
}

fn coded(status: StatusCode, code: &'static str, sentence: &'static str) -> Response {
    let mut response = (status, sentence).into_response();
    let headers = response.headers_mut();
    headers.insert("x-error-code", HeaderValue::from_static(code));
    headers.insert("x-error-message", HeaderValue::from_static(sentence));
    response
}

/// The refusal that was ordered, for a request with these headers; `None` where it lets the request through.
pub fn ordered(fault: Fault, headers: &HeaderMap) -> Option<Response> {
    match fault {
        Fault::Status(code) => Some(match StatusCode::from_u16(code) {
            Ok(StatusCode::NOT_FOUND) | Err(_) => Missing::Entry.into_response(),
            Ok(status) => status.into_response(),
        }),
        Fault::Busy { retry_after_s } => {
            let mut response = StatusCode::TOO_MANY_REQUESTS.into_response();
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after_s));
            Some(response)
        }
        Fault::Gated { token } => match headers.get(header::AUTHORIZATION) {
            Some(shown) if shown.as_bytes() == format!("Bearer {token}").as_bytes() => None,
            Some(_) => Some(coded(StatusCode::FORBIDDEN, "GatedRepo", "Access to this model is restricted")),
            None => Some(coded(StatusCode::UNAUTHORIZED, "GatedRepo", "Access to this model is restricted")),
        },
        Fault::Cut { .. } | Fault::Corrupt { .. } | Fault::Throttle { .. } | Fault::NoRanges => None,
    }
}
