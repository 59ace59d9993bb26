//! Requests by a blocking client, each on a thread of its own, so that several run side by side and waiting for one can
//! be given up at once.

use crate::HubError;
use crate::answer::{Ask, Heading};
use futures_channel::{mpsc, oneshot};
use futures_util::StreamExt;
use futures_util::future::poll_fn;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::Read;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use ureq::config::RedirectAuthHeaders;

const CHUNK: usize = 64 << 10;
/// Chunks that wait between the thread and whoever reads.
const CHUNKS_AHEAD: usize = 4;
const PATIENCE: Duration = Duration::from_secs(30);

/// A server's answer, its body still to come. Dropping it ends the transfer with the next chunk.
pub struct Answer {
    pub heading: Heading,
    body: mpsc::Receiver<Result<Vec<u8>, HubError>>,
}

fn agent() -> &'static ureq::Agent {
    static AGENT: OnceLock<ureq::Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            // A token is for the hub; the servers that it sends one on to are others.
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .build()
            .into()
    })
}

fn unreachable(reason: impl ToString) -> HubError {
    HubError::Unreachable { reason: reason.to_string() }
}

/// Asks; of the version that the request names, or else for all bytes.
pub async fn get(ask: &Ask<'_>) -> Result<Answer, HubError> {
    let mut request = agent().get(ask.address);
    if let Some(range) = ask.range() {
        request = request.header("Range", range);
    }
    if let Some(etag) = ask.if_range() {
        request = request.header("If-Range", etag);
    }
    if let Some(token) = ask.token {
        request = request.header("Authorization", token.authorization());
    }
    let (head, heading) = oneshot::channel();
    let (chunks, body) = mpsc::channel(CHUNKS_AHEAD);
    std::thread::spawn(move || {
        let response = match request.call() {
            Ok(response) => response,
            // Where nobody waits any more, nobody has to be told.
            Err(error) => return drop(head.send(Err(unreachable(error)))),
        };
        let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_string());
        if head.send(Ok(Heading::read(response.status().as_u16(), header))).is_ok() {
            hand_on(response.into_body().into_reader(), chunks);
        }
    });
    let heading = heading.await.map_err(|_| unreachable("the request ended without an answer"))??;
    Ok(Answer { heading, body })
}

/// Reads a body to its end, for as long as somebody wants it.
fn hand_on(mut body: impl Read, mut chunks: mpsc::Sender<Result<Vec<u8>, HubError>>) {
    loop {
        let mut bytes = vec![0; CHUNK];
        let chunk = match body.read(&mut bytes) {
            Ok(0) => return,
            Ok(read) => {
                bytes.truncate(read);
                Ok(bytes)
            }
            Err(error) => Err(unreachable(error)),
        };
        let ends = chunk.is_err();
        let ready = pollster::block_on(poll_fn(|context| chunks.poll_ready(context)));
        if ready.is_err() || chunks.start_send(chunk).is_err() || ends {
            return;
        }
    }
}

impl Answer {
    /// The next bytes of the body; `None` at its end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, HubError> {
        self.body.next().await.transpose()
    }
}

pub async fn sleep(seconds: f64) {
    if seconds > 0.0 {
        let (wake, woken) = oneshot::channel();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs_f64(seconds));
            let _ = wake.send(());
        });
        let _ = woken.await;
    }
}

/// Seconds of a clock that only goes forward.
pub fn seconds() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

/// Another number from 0 to 1 each time; what spreads retries need not be more random than that.
pub fn chance() -> f64 {
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}
