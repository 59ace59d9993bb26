//! The built page, and how it learns where its hub is.
//!
//! `index.html` carries `<meta name="tiller-hub" content="">`: empty, the page uses the real hub. Served from here, the
//! tag names this server. So one build works in both places, and nothing is configured.

use crate::address::SafePath;
use crate::faults::Fault;
use crate::mime;
use crate::refusal::Refusal;
use crate::send::{Outgoing, send, set};
use crate::server::Hub;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// What isolates a page from other pages: then its threads may share memory. Its workers' scripts need the second too.
pub const ISOLATION: [(&str, &str); 2] =
    [("cross-origin-opener-policy", "same-origin"), ("cross-origin-embedder-policy", "require-corp")];

/// Any path that is not the hub's.
pub async fn page(State(hub): State<Hub>, method: Method, uri: Uri, headers: HeaderMap) -> Result<Response, Refusal> {
    if method != Method::GET && method != Method::HEAD {
        return Ok(StatusCode::METHOD_NOT_ALLOWED.into_response());
    }
    let Some(dist) = &hub.dist else {
        return Ok((StatusCode::NOT_FOUND, "This hub serves files only, no page.").into_response());
    };
    let asked = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let file = match SafePath::parse(asked).map(|path| path.below(dist)) {
        Some(file) if file.is_file() => file,
        _ => return Ok((StatusCode::NOT_FOUND, "There is no such file in the built page.").into_response()),
    };
    let mut response = if file.extension().is_some_and(|kind| kind == "html") {
        let html = tokio::fs::read_to_string(&file).await?;
        Html(name_the_hub(&html, &hub.origin(&headers))).into_response()
    } else {
        send_asset(&hub, &method, asked, &file, &headers).await?
    };
    // A rebuilt page must be seen at once; what has not changed costs one 304.
    set(&mut response, header::CACHE_CONTROL, "no-cache");
    if hub.isolated {
        for (name, value) in ISOLATION {
            set(&mut response, HeaderName::from_static(name), value);
        }
    }
    Ok(response)
}

async fn send_asset(
    hub: &Hub,
    method: &Method,
    asked: &str,
    file: &Path,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let about = tokio::fs::metadata(file).await?;
    let faults = if method == Method::GET { hub.faults.strike(asked, |_| true) } else { Vec::new() };
    for fault in &faults {
        if let Fault::Status(code) = fault {
            return Ok(StatusCode::from_u16(*code).unwrap_or(StatusCode::NOT_FOUND).into_response());
        }
    }
    let changed = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let etag = format!("\"{:x}-{:x}\"", about.len(), changed.as_nanos());
    send(Outgoing { path: file.to_owned(), size: about.len(), etag, content_type: mime::of(file), faults }, headers)
        .await
}

/// Rewrites the tag, however the build has quoted or ordered its attributes. Other pages pass unchanged.
fn name_the_hub(html: &str, origin: &str) -> String {
    let tag = html.match_indices("<meta").find_map(|(start, _)| {
        let end = start + html[start..].find('>')? + 1;
        html[start..end].contains("tiller-hub").then_some((start, end))
    });
    match tag {
        Some((start, end)) => {
            format!("{}<meta name=\"tiller-hub\" content=\"{origin}\">{}", &html[..start], &html[end..])
        }
        None => html.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_found_however_it_is_written() {
        let expected = "<head><meta charset=utf-8><meta name=\"tiller-hub\" content=\"http://h\"></head>";
        for tag in ["<meta name=\"tiller-hub\" content=\"\">", "<meta content='' name=tiller-hub />"] {
            assert_eq!(name_the_hub(&format!("<head><meta charset=utf-8>{tag}</head>"), "http://h"), expected);
        }
        assert_eq!(name_the_hub("<p>no tag</p>", "http://h"), "<p>no tag</p>");
    }
}
