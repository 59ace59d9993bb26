//! Ranged requests by `fetch`, their bodies read as they come.

use crate::HubError;
use crate::obtain::{range_start, sha256_of};
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, Headers, ReadableStreamDefaultReader, Request, RequestCache, RequestInit, RequestMode, Response,
    WorkerGlobalScope,
};

/// A server's answer, its body still to come. Dropping it ends the transfer.
pub struct Answer {
    pub status: u16,
    /// Bytes of the body, where the server says.
    pub length: Option<u64>,
    pub range_start: Option<u64>,
    pub etag: Option<String>,
    pub sha256: Option<String>,
    body: Option<ReadableStreamDefaultReader>,
    abort: AbortController,
}

fn unreachable(error: JsValue) -> HubError {
    let message = Reflect::get(&error, &"message".into()).ok().and_then(|message| message.as_string());
    HubError::Unreachable { reason: message.unwrap_or_else(|| "the browser does not say why".into()) }
}

/// Asks for the bytes from `start` on. `If-Range` would need the server's leave for another header, so the version is
/// compared by its checksum at the end.
pub async fn get(address: &str, start: u64, _etag: Option<&str>) -> Result<Answer, HubError> {
    let abort = AbortController::new().map_err(unreachable)?;
    let headers = Headers::new().map_err(unreachable)?;
    if start > 0 {
        headers.set("Range", &format!("bytes={start}-")).map_err(unreachable)?;
    }
    let options = RequestInit::new();
    options.set_mode(RequestMode::Cors);
    // The browser's own cache would keep the file a second time, and would give damaged bytes again when asked again.
    options.set_cache(RequestCache::NoStore);
    options.set_headers(&headers);
    options.set_signal(Some(&abort.signal()));
    let request = Request::new_with_str_and_init(address, &options).map_err(unreachable)?;
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let response: Response =
        JsFuture::from(scope.fetch_with_request(&request)).await.map_err(unreachable)?.unchecked_into();
    let header = |name: &str| response.headers().get(name).ok().flatten();
    let etag = header("etag");
    let body = response.body().map(|body| body.get_reader().unchecked_into());
    Ok(Answer {
        status: response.status(),
        length: header("content-length").and_then(|length| length.parse().ok()),
        range_start: header("content-range").and_then(|range| range_start(&range)),
        sha256: sha256_of([header("x-linked-etag"), etag.clone()]),
        etag,
        body,
        abort,
    })
}

impl Answer {
    /// The next bytes of the body; `None` at its end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, HubError> {
        let Some(body) = &self.body else { return Ok(None) };
        let piece = JsFuture::from(body.read()).await.map_err(unreachable)?;
        let field = |name: &str| Reflect::get(&piece, &name.into()).unwrap_or(JsValue::UNDEFINED);
        if field("done").is_truthy() {
            return Ok(None);
        }
        Ok(Some(field("value").unchecked_into::<Uint8Array>().to_vec()))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

pub async fn sleep(seconds: f64) {
    gloo::timers::future::TimeoutFuture::new((seconds * 1000.0) as u32).await;
}

/// Seconds of a clock that only goes forward.
pub fn seconds() -> f64 {
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    scope.performance().map_or(0.0, |clock| clock.now() / 1000.0)
}
