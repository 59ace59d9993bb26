//! What lets a page from elsewhere read these answers: the hub's own headers, with every origin allowed, and the one by
//! which a page that is isolated from others may embed this one.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Headers a script may read. Without this list it sees neither a file's size nor the commit it came from.
const EXPOSED: &str = "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,\
    Accept-Ranges,Content-Range,Content-Length,X-Linked-Size,X-Linked-ETag";

/// Without it, a page that asks its parts for their consent (`Cross-Origin-Embedder-Policy: require-corp`) shows nothing
/// from here.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

pub async fn allow_every_origin(request: Request, next: Next) -> Response {
    let asks_permission = request.method() == Method::OPTIONS;
    let asked_for = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let mut response = if asks_permission { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    if asks_permission {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,HEAD,OPTIONS"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
        if let Some(names) = asked_for {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
    }
    response
}
