//! One file as an answer: conditional, in part, and with the trouble that was ordered for it.

use crate::faults::Fault;
use crate::range::{Wanted, wanted};
use crate::refusal::Refusal;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};

pub struct Outgoing {
    pub path: PathBuf,
    pub size: u64,
    /// Quoted, strong.
    pub etag: String,
    pub content_type: &'static str,
    pub faults: Vec<Fault>,
}

/// 200, 206, 304 or 416, as the request's headers ask. (For a HEAD the server drops the body and keeps the headers.)
pub async fn send(file: Outgoing, request: &HeaderMap) -> Result<Response, Refusal> {
    let asked = |name| request.get(name).and_then(|value: &HeaderValue| value.to_str().ok());

    let mut response = if asked(header::IF_NONE_MATCH).is_some_and(|known| matches(known, &file.etag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        // A range of another version of the file is of no use to whoever holds the first part of this one.
        let same_version = asked(header::IF_RANGE).is_none_or(|known| known == file.etag);
        let knows_ranges = !file.faults.contains(&Fault::NoRanges);
        let range = asked(header::RANGE).filter(|_| same_version && knows_ranges);
        match wanted(range, file.size) {
            Wanted::Whole => body(&file, 0, file.size).await?,
            Wanted::Part { first, last } => {
                let mut part = body(&file, first, last - first + 1).await?;
                *part.status_mut() = StatusCode::PARTIAL_CONTENT;
                set(&mut part, header::CONTENT_RANGE, &format!("bytes {first}-{last}/{}", file.size));
                part
            }
            Wanted::Unsatisfiable => {
                let mut refusal = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
                set(&mut refusal, header::CONTENT_RANGE, &format!("bytes */{}", file.size));
                refusal
            }
        }
    };
    set(&mut response, header::ETAG, &file.etag);
    set(&mut response, header::ACCEPT_RANGES, if file.faults.contains(&Fault::NoRanges) { "none" } else { "bytes" });
    Ok(response)
}

pub fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn matches(if_none_match: &str, etag: &str) -> bool {
    if_none_match.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == etag)
}

async fn body(file: &Outgoing, first: u64, length: u64) -> Result<Response, Refusal> {
    let mut source = File::open(&file.path).await?;
    source.seek(SeekFrom::Start(first)).await?;
    let flow = Flow::new(source, first, length, &file.faults);
    let mut response = Response::new(Body::from_stream(stream::try_unfold(flow, Flow::next)));
    set(&mut response, header::CONTENT_TYPE, file.content_type);
    set(&mut response, header::CONTENT_LENGTH, &length.to_string());
    Ok(response)
}

/// A file on its way out, chunk by chunk.
struct Flow {
    source: File,
    /// Of the next byte, in the file.
    position: u64,
    remaining: u64,
    sent: u64,
    started: Instant,
    cut_after: Option<u64>,
    corrupt_at: Vec<u64>,
    bytes_per_second: Option<u64>,
}

impl Flow {
    fn new(source: File, position: u64, remaining: u64, faults: &[Fault]) -> Self {
        let mut flow = Self {
            source,
            position,
            remaining,
            sent: 0,
            started: Instant::now(),
            cut_after: None,
            corrupt_at: Vec::new(),
            bytes_per_second: None,
        };
        for fault in faults {
            match *fault {
                Fault::Cut { after } => flow.cut_after = Some(after),
                Fault::Corrupt { at } => flow.corrupt_at.push(at),
                Fault::Throttle { bytes_per_second } => flow.bytes_per_second = Some(bytes_per_second.max(1)),
                Fault::Status(_) | Fault::Busy { .. } | Fault::Gated { .. } | Fault::NoRanges => {}
            }
        }
        flow
    }

    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        if self.remaining == 0 {
            return Ok(None);
        }
        let mut room = self.remaining.min(1 << 17);
        if let Some(cut) = self.cut_after {
            room = room.min(cut - self.sent);
            if room == 0 {
                // An error in a body whose length was announced makes the server drop the connection.
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut, as ordered"));
            }
        }
        if let Some(rate) = self.bytes_per_second {
            // Ten chunks a second at most: small enough to look like a slow line, and to be cut where it was asked.
            room = room.min((rate / 10).max(1));
            let due = Duration::from_secs_f64(self.sent as f64 / rate as f64);
            tokio::time::sleep(due.saturating_sub(self.started.elapsed())).await;
        }
        let mut chunk = vec![0; room as usize];
        let read = self.source.read(&mut chunk).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        chunk.truncate(read);
        for at in &self.corrupt_at {
            if let Some(byte) = at.checked_sub(self.position).and_then(|offset| chunk.get_mut(offset as usize)) {
                *byte = !*byte;
            }
        }
        self.position += read as u64;
        self.remaining -= read as u64;
        self.sent += read as u64;
        Ok(Some((chunk.into(), self)))
    }
}
