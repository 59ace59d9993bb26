//! `/api/models/...`: what a repository holds, in the hub's JSON.

use crate::address::SafePath;
use crate::missing::{Missing, unreadable};
use crate::server::Hub;
use crate::shelf::{Entry, Identity, Revision};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// `/api/models/{owner}/{name}`
pub async fn model(State(hub): State<Hub>, Path((owner, name)): Path<(String, String)>) -> Response {
    about(&hub, &owner, &name, "main")
}

/// `/api/models/{owner}/{name}/revision/{revision}`
pub async fn model_at(
    State(hub): State<Hub>,
    Path((owner, name, revision)): Path<(String, String, String)>,
) -> Response {
    about(&hub, &owner, &name, &revision)
}

/// `/api/models/{owner}/{name}/tree/{revision}`
pub async fn tree(
    State(hub): State<Hub>,
    Path((owner, name, revision)): Path<(String, String, String)>,
    Query(options): Query<BTreeMap<String, String>>,
) -> Response {
    list(hub, owner, name, revision, String::new(), options).await
}

/// `/api/models/{owner}/{name}/tree/{revision}/{folder}`
pub async fn tree_below(
    State(hub): State<Hub>,
    Path((owner, name, revision, folder)): Path<(String, String, String, String)>,
    Query(options): Query<BTreeMap<String, String>>,
) -> Response {
    match SafePath::parse(folder.trim_end_matches('/')) {
        Some(folder) => list(hub, owner, name, revision, format!("{}/", folder.as_str()), options).await,
        None => Missing::Entry.into_response(),
    }
}

fn about(hub: &Hub, owner: &str, name: &str, revision: &str) -> Response {
    let revision = match hub.shelf.revision(owner, name, revision) {
        Ok(revision) => revision,
        Err(missing) => return missing.into_response(),
    };
    let entries = match revision.entries() {
        Ok(entries) => entries,
        Err(error) => return unreadable(error),
    };
    let siblings: Vec<Value> = entries.iter().map(|entry| json!({ "rfilename": entry.path })).collect();
    Json(json!({
        "id": revision.repo,
        "modelId": revision.repo,
        "sha": revision.commit,
        "private": false,
        "gated": false,
        "disabled": false,
        "siblings": siblings,
    }))
    .into_response()
}

async fn list(
    hub: Hub,
    owner: String,
    name: String,
    revision: String,
    prefix: String,
    options: BTreeMap<String, String>,
) -> Response {
    let recursive = options.get("recursive").is_some_and(|value| value == "true" || value == "1");
    let look = move || -> Result<Response, Response> {
        let revision = hub.shelf.revision(&owner, &name, &revision).map_err(IntoResponse::into_response)?;
        let listed = rows(&revision, &prefix, recursive).map_err(|error| unreadable(io::Error::other(error)))?;
        match listed {
            rows if rows.is_empty() && !prefix.is_empty() => Err(Missing::Entry.into_response()),
            rows => Ok(Json(rows).into_response()),
        }
    };
    // The first list of a repository hashes its models.
    match tokio::task::spawn_blocking(look).await {
        Ok(Ok(answer) | Err(answer)) => answer,
        Err(panic) => unreadable(io::Error::other(panic)),
    }
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
