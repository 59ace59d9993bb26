//! What was asked, and how much was sent: how a test knows that a reload downloads nothing.

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// One request and its answer.
#[derive(Debug, Clone)]
pub struct Logged {
    pub method: String,
    /// As it was sent: percent-encoded, without the query.
    pub path: String,
    pub range: Option<String>,
    /// It came with an access token.
    pub authorized: bool,
    pub status: u16,
    /// Bytes of the body handed to the connection so far.
    pub bytes_sent: u64,
}

/// The requests since the server started, or since [`Log::clear`], in order of arrival.
#[derive(Debug, Default)]
pub struct Log(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    logged: Logged,
    sent: Arc<AtomicU64>,
}

impl Log {
    pub fn entries(&self) -> Vec<Logged> {
        let entries = self.0.lock().unwrap();
        entries
            .iter()
            .map(|entry| Logged { bytes_sent: entry.sent.load(Ordering::Relaxed), ..entry.logged.clone() })
            .collect()
    }

    /// Bytes of bodies sent in answer to requests whose path contains `part_of_path`.
    pub fn bytes_sent(&self, part_of_path: &str) -> u64 {
        self.entries().iter().filter(|entry| entry.path.contains(part_of_path)).map(|entry| entry.bytes_sent).sum()
    }

    pub fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

/// The outermost layer of the server: writes each request down and counts its answer's body as it leaves.
pub(crate) async fn record(State(log): State<Arc<Log>>, request: Request, next: Next) -> Response {
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let range = request.headers().get(header::RANGE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let authorized = request.headers().contains_key(header::AUTHORIZATION);
    let mut response = next.run(request).await;

    let status = response.status();
    let sent = Arc::new(AtomicU64::new(0));
    let logged = Logged { method, path, range, authorized, status: status.as_u16(), bytes_sent: 0 };
    log.0.lock().unwrap().push(Entry { logged, sent: sent.clone() });

    // A counted body is a stream, whose length the server no longer knows: say it while it is known.
    let has_body = status != StatusCode::NOT_MODIFIED && status != StatusCode::NO_CONTENT;
    if let (true, Some(length)) = (has_body, response.body().size_hint().exact()) {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
    }
    response.map(|body| {
        Body::from_stream(body.into_data_stream().inspect(move |chunk| {
            if let Ok(bytes) = chunk {
                sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
        }))
    })
}
