//! Ranged requests by `fetch`, their bodies read as they come.

use crate::HubError;
use crate::answer::{Ask, Heading};
use futures_util::future::{Either, select};
use gloo::timers::future::TimeoutFuture;
use js_sys::{Promise, Reflect, Uint8Array};
use std::pin::pin;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, Headers, ReadableStreamDefaultReader, ReferrerPolicy, Request, RequestCache, RequestCredentials,
    RequestInit, RequestMode, Response, WorkerGlobalScope,
};

/// How long one waits for a byte; a connection that is silent for longer is taken for broken.
const PATIENCE_S: f64 = 30.0;

/// A server's answer, its body still to come. Dropping it ends the transfer.
pub struct Answer {
    pub heading: Heading,
    body: Option<ReadableStreamDefaultReader>,
    _request: Running,
}

/// A request that ends when this is dropped.
struct Running(AbortController);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn scope() -> WorkerGlobalScope {
    js_sys::global().unchecked_into()
}

fn unreachable(error: JsValue) -> HubError {
    let message = Reflect::get(&error, &"message".into()).ok().and_then(|message| message.as_string());
    HubError::Unreachable { reason: message.unwrap_or_else(|| "the browser does not say why".into()) }
}

async fn soon(promise: Promise) -> Result<JsValue, HubError> {
    match select(pin!(JsFuture::from(promise)), pin!(sleep(PATIENCE_S))).await {
        Either::Left((settled, _)) => settled.map_err(unreachable),
        Either::Right(_) => Err(HubError::Unreachable { reason: format!("not a byte came in {PATIENCE_S} s") }),
    }
}

/// Asks. `If-Range` would need the server's leave for another header, so the version is compared when the answer comes,
/// and by the checksum at the end. Where the hub sends the request on to another server, the browser leaves the token
/// behind (Fetch standard, HTTP-redirect fetch).
pub async fn get(ask: &Ask<'_>) -> Result<Answer, HubError> {
    let running = Running(AbortController::new().map_err(unreachable)?);
    let headers = Headers::new().map_err(unreachable)?;
    if let Some(range) = ask.range() {
        headers.set("Range", &range).map_err(unreachable)?;
    }
    if let Some(token) = ask.token {
        headers.set("Authorization", &token.authorization()).map_err(unreachable)?;
    }
    let options = options(RequestMode::Cors, &running);
    options.set_headers(&headers);
    let request = Request::new_with_str_and_init(ask.address, &options).map_err(unreachable)?;
    let response: Response = match soon(scope().fetch_with_request(&request)).await {
        Ok(response) => response.unchecked_into(),
        Err(error) => return Err(reason_of(error, ask.address).await),
    };
    let heading = Heading::read(response.status(), |name| response.headers().get(name).ok().flatten());
    let body = response.body().map(|body| body.get_reader().unchecked_into());
    Ok(Answer { heading, body, _request: running })
}

fn options(mode: RequestMode, running: &Running) -> RequestInit {
    let options = RequestInit::new();
    options.set_mode(mode);
    // The browser's own cache would keep the file a second time, and would give damaged bytes again when asked again.
    options.set_cache(RequestCache::NoStore);
    // Nobody learns more from a request than which file is wanted.
    options.set_credentials(RequestCredentials::Omit);
    options.set_referrer_policy(ReferrerPolicy::NoReferrer);
    options.set_signal(Some(&running.0.signal()));
    options
}

/// A browser gives one and the same error for a dead line and for a server that does not let the page read. Whether
/// the server is there can be seen by asking for an answer that nobody will read.
async fn reason_of(error: HubError, address: &str) -> HubError {
    if !scope().navigator().on_line() {
        return HubError::Offline;
    }
    let Ok(abort) = AbortController::new() else { return error };
    let running = Running(abort);
    let options = options(RequestMode::NoCors, &running);
    options.set_method("HEAD");
    let Ok(request) = Request::new_with_str_and_init(address, &options) else { return error };
    match soon(scope().fetch_with_request(&request)).await {
        Ok(_) => HubError::Blocked,
        Err(_) => error,
    }
}

impl Answer {
    /// The next bytes of the body; `None` at its end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, HubError> {
        let Some(body) = &self.body else { return Ok(None) };
        let piece = soon(body.read()).await?;
        let field = |name: &str| Reflect::get(&piece, &name.into()).unwrap_or(JsValue::UNDEFINED);
        if field("done").is_truthy() {
            return Ok(None);
        }
        Ok(Some(field("value").unchecked_into::<Uint8Array>().to_vec()))
    }
}

pub async fn sleep(seconds: f64) {
    TimeoutFuture::new((seconds * 1000.0) as u32).await;
}

/// Seconds of a clock that only goes forward.
pub fn seconds() -> f64 {
    scope().performance().map_or(0.0, |clock| clock.now() / 1000.0)
}

/// Another number from 0 to 1 each time.
pub fn chance() -> f64 {
    js_sys::Math::random()
}
