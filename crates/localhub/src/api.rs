//! `/api/models/...`: what a repository holds, in the hub's JSON.

use crate::address::SafePath;
use crate::faults::Fault;
use crate::refusal::{self, Missing, Refusal};
use crate::server::Hub;
use crate::shelf::{Entry, Identity, Revision};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// `/api/models/{owner}/{name}`
pub async fn model(
    State(hub): State<Hub>,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    about(&hub, &owner, &name, "main", &headers)
}

/// `/api/models/{owner}/{name}/revision/{revision}`
pub async fn model_at(
    State(hub): State<Hub>,
    Path((owner, name, revision)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    about(&hub, &owner, &name, &revision, &headers)
}

/// `/api/models/{owner}/{name}/tree/{revision}`
pub async fn tree(
    State(hub): State<Hub>,
    Path((owner, name, revision)): Path<(String, String, String)>,
    Query(options): Query<BTreeMap<String, String>>,
) -> Result<Response, Refusal> {
    let revision = hub.shelf.revision(&owner, &name, &revision)?;
    list(revision, String::new(), is_recursive(&options)).await
}

/// `/api/models/{owner}/{name}/tree/{revision}/{folder}`
pub async fn tree_below(
    State(hub): State<Hub>,
    Path((owner, name, revision, folder)): Path<(String, String, String, String)>,
    Query(options): Query<BTreeMap<String, String>>,
) -> Result<Response, Refusal> {
    let revision = hub.shelf.revision(&owner, &name, &revision)?;
    let folder = SafePath::parse(folder.trim_end_matches('/')).ok_or(Missing::Entry)?;
    list(revision, format!("{}/", folder.as_str()), is_recursive(&options)).await
}

fn is_recursive(options: &BTreeMap<String, String>) -> bool {
    options.get("recursive").is_some_and(|value| value == "true" || value == "1")
}

fn about(hub: &Hub, owner: &str, name: &str, revision: &str, headers: &HeaderMap) -> Result<Response, Refusal> {
    let struck = hub.faults.strike(&format!("api/{owner}/{name}"), Fault::refuses);
    if let Some(refusal) = struck.into_iter().find_map(|fault| refusal::ordered(fault, headers)) {
        return Ok(refusal);
    }
    let revision = hub.shelf.revision(owner, name, revision)?;
    let siblings: Vec<Value> = revision.entries()?.iter().map(|entry| json!({ "rfilename": entry.path })).collect();
    let answer = json!({
        "id": revision.repo,
        "modelId": revision.repo,
        "sha": revision.commit,
        "private": false,
        "gated": false,
        "disabled": false,
        "siblings": siblings,
    });
    Ok(Json(answer).into_response())
}

async fn list(revision: Revision, prefix: String, recursive: bool) -> Result<Response, Refusal> {
    let below = !prefix.is_empty();
    // The first list of a repository hashes its models.
    let rows = tokio::task::spawn_blocking(move || rows(&revision, &prefix, recursive)).await??;
    if below && rows.is_empty() {
        return Err(Missing::Entry.into());
    }
    Ok(Json(rows).into_response())
}

/// One row a folder (once) and one a file, of what lies directly below `prefix`, or anywhere below it.
fn rows(revision: &Revision, prefix: &str, recursive: bool) -> anyhow::Result<Vec<Value>> {
    let mut folders = BTreeSet::new();
    let mut files = Vec::new();
    for entry in revision.entries()? {
        let Some(rest) = entry.path.strip_prefix(prefix) else { continue };
        let depth = if recursive { rest.matches('/').count() } else { usize::from(rest.contains('/')) };
        for (at, _) in rest.match_indices('/').take(depth) {
            folders.insert(format!("{prefix}{}", &rest[..at]));
        }
        if recursive || !rest.contains('/') {
            files.push(row(&entry)?);
        }
    }
    let folders = folders.into_iter().map(|path| json!({ "type": "directory", "size": 0, "path": path }));
    Ok(folders.chain(files).collect())
}

fn row(entry: &Entry) -> anyhow::Result<Value> {
    Ok(match entry.identity()? {
        Identity::Git { oid } => json!({ "type": "file", "oid": oid, "size": entry.size, "path": entry.path }),
        Identity::Lfs { pointer_oid, sha256 } => json!({
            "type": "file",
            "oid": pointer_oid,
            "size": entry.size,
            "lfs": { "oid": sha256, "size": entry.size },
            "path": entry.path,
        }),
    })
}
