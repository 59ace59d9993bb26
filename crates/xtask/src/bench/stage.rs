//! The server from which the browser takes an engine's page, its package and its weights, and to which it reports.

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, Uri, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use futures_util::stream;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tiller_localhub::{ISOLATION, SafePath, content_type};
use tokio::io::AsyncReadExt;
use tokio::runtime::Runtime;

/// A running server; it stops when this is dropped.
pub struct Stage {
    origin: String,
    play: Arc<Mutex<Play>>,
    _runtime: Runtime,
}

/// What is being measured now.
#[derive(Default)]
struct Play {
    /// What the page is to do.
    job: Value,
    /// What it has found out so far.
    report: Option<Value>,
    /// Whether the page may share memory between threads, at the price of speaking to no other origin unasked.
    isolated: bool,
}

/// Everything that a handler looks at.
#[derive(Clone)]
struct Hall {
    play: Arc<Mutex<Play>>,
    /// The first part of a path, and the folder that it names.
    folders: Arc<Vec<(&'static str, PathBuf)>>,
}

impl Stage {
    /// `folders`: the first part of a path (the last of them empty, for all others) and the folder that it names.
    pub fn open(folders: Vec<(&'static str, PathBuf)>) -> Result<Self> {
        let play = Arc::new(Mutex::new(Play::default()));
        let hall = Hall { play: play.clone(), folders: Arc::new(folders) };
        let router =
            Router::new().route("/job", get(job)).route("/report", post(report)).fallback(file).with_state(hall);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .context("cannot listen on this machine")?;
        let origin = format!("http://{}", listener.local_addr()?);
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { origin, play, _runtime: runtime })
    }

    pub fn address(&self, path: &str) -> String {
        format!("{}/{path}", self.origin)
    }

    /// The next page to come is to do this; nothing is known of it yet.
    pub fn set(&self, job: Value, isolated: bool) {
        *locked(&self.play) = Play { job, report: None, isolated };
    }

    /// What the page has said last.
    pub fn report(&self) -> Option<Value> {
        locked(&self.play).report.clone()
    }
}

fn locked(play: &Mutex<Play>) -> MutexGuard<'_, Play> {
    // Nothing is left half done under this lock.
    play.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn job(State(hall): State<Hall>) -> Json<Value> {
    Json(locked(&hall.play).job.clone())
}

async fn report(State(hall): State<Hall>, body: String) -> StatusCode {
    match serde_json::from_str(&body) {
        Ok(report) => {
            locked(&hall.play).report = Some(report);
            StatusCode::NO_CONTENT
        }
        Err(_) => StatusCode::BAD_REQUEST,
    }
}

async fn file(State(hall): State<Hall>, uri: Uri) -> Response {
    let Some(path) = place(&hall.folders, uri.path()) else { return StatusCode::NOT_FOUND.into_response() };
    let isolated = locked(&hall.play).isolated;
    send(&path, isolated).await.unwrap_or_else(|_| StatusCode::NOT_FOUND.into_response())
}

fn place(folders: &[(&str, PathBuf)], path: &str) -> Option<PathBuf> {
    let path = path.strip_prefix('/')?;
    folders.iter().find_map(|(name, folder)| {
        let below = if name.is_empty() { path } else { path.strip_prefix(name)?.strip_prefix('/')? };
        Some(SafePath::parse(below)?.below(folder))
    })
}

async fn send(path: &Path, isolated: bool) -> std::io::Result<Response> {
    let source = tokio::fs::File::open(path).await?;
    let about = source.metadata().await?;
    if !about.is_file() {
        return Ok(StatusCode::NOT_FOUND.into_response());
    }
    let chunks = stream::try_unfold(source, |mut source| async move {
        let mut chunk = vec![0; 1 << 20];
        let length = source.read(&mut chunk).await?;
        chunk.truncate(length);
        std::io::Result::Ok((length > 0).then_some((chunk, source)))
    });
    let mut headers = vec![
        (header::CONTENT_TYPE, content_type(path).to_owned()),
        (header::CONTENT_LENGTH, about.len().to_string()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    if isolated {
        headers.extend(ISOLATION.map(|(name, value)| (HeaderName::from_static(name), value.to_owned())));
    }
    let mut response = Body::from_stream(chunks).into_response();
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_in_the_folder_of_its_first_part_and_never_outside() {
        let folders = [("models", PathBuf::from("/m")), ("", PathBuf::from("/pages"))];
        assert_eq!(place(&folders, "/models/a/b.gguf"), Some(Path::new("/m").join("a").join("b.gguf")));
        assert_eq!(place(&folders, "/a.html"), Some(Path::new("/pages").join("a.html")));
        assert_eq!(place(&folders, "/models/../a"), None);
        assert_eq!(place(&folders, "/"), None);
    }
}
