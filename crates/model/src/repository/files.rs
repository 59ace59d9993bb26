//! Reading the small files of a repository whole, within bounds.

use super::RepositoryError;
use serde_json::Value;
use tiller_formats::{ByteSource, Folder};

/// Configurations have a few kilobytes; those of quantised models list every layer.
pub(super) const LONGEST_CONFIG: u64 = 4 << 20;
/// An index of 30,000 tensors takes about 3 MB.
pub(super) const LONGEST_INDEX: u64 = 16 << 20;

/// The file's bytes; `None` where there is none.
pub(super) async fn find<R: Folder>(folder: &R, name: &str, limit: u64) -> Result<Option<Vec<u8>>, RepositoryError> {
    let unreadable = |error| RepositoryError::Unreadable { file: name.into(), error };
    let Some(file) = folder.open(name).await.map_err(unreadable)? else { return Ok(None) };
    let found = file.len();
    if found > limit {
        return Err(RepositoryError::TooLong { file: name.into(), found, limit });
    }
    file.read_at(0, found as usize).await.map(Some).map_err(unreadable)
}

/// The file as JSON; `None` where there is none.
pub(super) async fn find_json<R: Folder>(folder: &R, name: &str, limit: u64) -> Result<Option<Value>, RepositoryError> {
    let Some(bytes) = find(folder, name, limit).await? else { return Ok(None) };
    let damaged = |error: serde_json::Error| RepositoryError::Damaged { file: name.into(), what: error.to_string() };
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

pub(super) async fn json<R: Folder>(folder: &R, name: &str, limit: u64) -> Result<Value, RepositoryError> {
    let missing = || RepositoryError::MissingFile { file: name.into() };
    find_json(folder, name, limit).await?.ok_or_else(missing)
}
