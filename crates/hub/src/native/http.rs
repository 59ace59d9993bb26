//! Ranged requests by a blocking client.

use crate::HubError;
use crate::obtain::range_start;
use std::io::Read;
use std::time::{Duration, Instant};

const CHUNK: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(30);

/// A server's answer, its body still to come.
pub struct Answer {
    pub status: u16,
    /// Bytes of the body, where the server says.
    pub length: Option<u64>,
    pub range_start: Option<u64>,
    pub etag: Option<String>,
    body: Box<dyn Read>,
}

/// Asks for the bytes from `start` on; of the version that `etag` names, or else all of them.
pub async fn get(address: &str, start: u64, etag: Option<&str>) -> Result<Answer, HubError> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .timeout_per_read(Some(PATIENCE))
        .build()
        .into();
    let mut request = agent.get(address);
    if start > 0 {
        request = request.header("Range", format!("bytes={start}-"));
        // A weak name does not say that the bytes are the same.
        if let Some(etag) = etag.filter(|etag| !etag.starts_with("W/")) {
            request = request.header("If-Range", etag);
        }
    }
    let response = request.call().map_err(|error| HubError::Unreachable { reason: error.to_string() })?;
    let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_string());
    Ok(Answer {
        status: response.status().as_u16(),
        length: header("content-length").and_then(|length| length.parse().ok()),
        range_start: header("content-range").and_then(|range| range_start(&range)),
        etag: header("etag"),
        body: Box::new(response.into_body().into_reader()),
    })
}

impl Answer {
    /// The next bytes of the body; `None` at its end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, HubError> {
        let mut bytes = vec![0; CHUNK];
        match self.body.read(&mut bytes) {
            Ok(0) => Ok(None),
            Ok(read) => {
                bytes.truncate(read);
                Ok(Some(bytes))
            }
            Err(error) => Err(HubError::Unreachable { reason: error.to_string() }),
        }
    }
}

pub async fn sleep(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

/// Seconds of a clock that only goes forward.
pub fn seconds() -> f64 {
    thread_local!(static START: Instant = Instant::now());
    START.with(|start| start.elapsed().as_secs_f64())
}
