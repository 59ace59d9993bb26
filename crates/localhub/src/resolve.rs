//! `/{owner}/{name}/resolve/{revision}/{path}`: where the hub gives a file, or says where it is.
//!
//! Large files are answered with a redirect to another address, as the hub sends people to its content network. The
//! redirect, and only it, carries the size and checksum of what it leads to.

use crate::address::encode_path;
use crate::faults::Fault;
use crate::refusal::{self, Refusal};
use crate::send::{Outgoing, send, set};
use crate::server::Hub;
use crate::shelf::{Entry, Identity, Revision};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

type Address = Path<(String, String, String, String)>;

/// The hub's own address of a file.
pub async fn resolve(
    State(hub): State<Hub>,
    method: Method,
    Path(at): Address,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (revision, entry, identity) = find(&hub, at).await?;
    if let Some(refusal) = ordered_refusal(&hub, &method, &revision, &entry, &headers) {
        return Ok(refusal);
    }
    let mut response = match &identity {
        Identity::Git { .. } => answer_with_file(&hub, &method, &revision, &entry, &identity, &headers).await?,
        Identity::Lfs { .. } => {
            let to = format!(
                "{}/cdn/{}/{}/{}",
                hub.origin(&headers),
                encode_path(&revision.repo),
                encode_path(&revision.commit),
                encode_path(&entry.path)
            );
            let mut redirect = StatusCode::FOUND.into_response();
            set(&mut redirect, header::LOCATION, &to);
            set(&mut redirect, header::ACCEPT_RANGES, "bytes");
            set(&mut redirect, HeaderName::from_static("x-linked-size"), &entry.size.to_string());
            set(&mut redirect, HeaderName::from_static("x-linked-etag"), &identity.etag());
            redirect
        }
    };
    set(&mut response, HeaderName::from_static("x-repo-commit"), &revision.commit);
    Ok(response)
}

/// Where the redirects lead.
pub async fn cdn(
    State(hub): State<Hub>,
    method: Method,
    Path(at): Address,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (revision, entry, identity) = find(&hub, at).await?;
    answer_with_file(&hub, &method, &revision, &entry, &identity, &headers).await
}

async fn find(hub: &Hub, at: (String, String, String, String)) -> Result<(Revision, Entry, Identity), Refusal> {
    let shelf = hub.shelf.clone();
    let look = move || {
        let (owner, name, revision, path) = at;
        let revision = shelf.revision(&owner, &name, &revision)?;
        let entry = revision.entry(&path)?;
        let identity = entry.identity()?;
        Ok((revision, entry, identity))
    };
    // The first look at a model hashes it.
    tokio::task::spawn_blocking(look).await?
}

fn ordered_refusal(
    hub: &Hub,
    method: &Method,
    revision: &Revision,
    entry: &Entry,
    headers: &HeaderMap,
) -> Option<Response> {
    if method != Method::GET {
        return None;
    }
    let struck = hub.faults.strike(&name_for_faults(revision, entry), Fault::refuses);
    struck.into_iter().find_map(|fault| refusal::ordered(fault, headers))
}

async fn answer_with_file(
    hub: &Hub,
    method: &Method,
    revision: &Revision,
    entry: &Entry,
    identity: &Identity,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let faults = match *method {
        Method::GET => hub.faults.strike(&name_for_faults(revision, entry), |fault| !fault.refuses()),
        _ => Vec::new(),
    };
    let outgoing = Outgoing {
        path: entry.on_disk.clone(),
        size: entry.size,
        etag: identity.etag(),
        content_type: content_type(identity),
        faults,
    };
    send(outgoing, headers).await
}

/// The hub never sends a file under a type that a browser would run.
fn content_type(identity: &Identity) -> &'static str {
    match identity {
        Identity::Git { .. } => "text/plain; charset=utf-8",
        Identity::Lfs { .. } => "application/octet-stream",
    }
}

fn name_for_faults(revision: &Revision, entry: &Entry) -> String {
    format!("{}/{}/{}", revision.repo, revision.commit, entry.path)
}
