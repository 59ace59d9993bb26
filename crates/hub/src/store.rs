//! Where files are kept.

use crate::HubError;
use serde::{Deserialize, Serialize};
use tiller_formats::ByteSource;
use tiller_sites::ModelRef;

/// A file in a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    pub model: ModelRef,
    /// Bytes that are there.
    pub bytes: u64,
    /// `false` for a transfer that was cut.
    pub complete: bool,
}

/// What is remembered about a transfer that was cut, so that it can go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partial {
    /// The server's name for the version that the bytes are of.
    pub etag: Option<String>,
}

/// Keeps files under the names of the hub. A file is either complete, or partial with what was received of it.
#[allow(async_fn_in_trait)]
pub trait Store {
    type File: ByteSource;
    type Writer: Writer;

    /// The complete file, if it is here with the length and the checksum that `file` names.
    async fn open(&self, file: &ModelRef) -> Result<Option<Self::File>, HubError>;

    /// Opens the partial file to append to it, keeping what is there. Nobody else can until the writer is dropped
    /// ([`HubError::InUse`]).
    async fn append(&self, file: &ModelRef) -> Result<Self::Writer, HubError>;

    /// Bytes of the file that are here, complete or not, also while somebody else writes it; 0 where that is not known.
    async fn received(&self, file: &ModelRef) -> u64;

    /// Makes the partial file the complete one. `file` has the length and the checksum that were found.
    async fn finish(&self, file: &ModelRef, writer: Self::Writer) -> Result<Self::File, HubError>;

    /// Removes the file, complete or partial; no error where there is none.
    async fn remove(&self, file: &ModelRef) -> Result<(), HubError>;

    async fn list(&self) -> Result<Vec<CacheEntry>, HubError>;
}

/// A partial file that is being written.
#[allow(async_fn_in_trait)]
pub trait Writer {
    fn len(&self) -> u64;

    /// What was remembered with the bytes that are there.
    fn partial(&self) -> &Partial;

    /// Bytes that the place still has room for, where it says.
    async fn room(&self) -> Option<u64>;

    /// Bytes `at .. at + len` of what is there.
    async fn read(&mut self, at: u64, len: usize) -> Result<Vec<u8>, HubError>;

    async fn write(&mut self, bytes: &[u8]) -> Result<(), HubError>;

    /// Forgets all bytes, and remembers `partial` for those to come.
    async fn restart(&mut self, partial: Partial) -> Result<(), HubError>;

    /// Removes what was received.
    async fn discard(self) -> Result<(), HubError>;
}

/// Endings of the notes that stores keep beside their files.
pub const PART: &str = ".part";
pub const PART_NOTE: &str = ".part.json";
pub const NOTE: &str = ".note.json";

/// Checks that a file of the hub cannot be taken for a store's note about another one.
pub fn refuse_reserved(file: &ModelRef) -> Result<(), HubError> {
    let ends_as_a_note = [PART, PART_NOTE, NOTE].iter().any(|ending| file.file.ends_with(ending));
    let is_hidden = file.file.rsplit('/').next().is_some_and(|name| name.starts_with('.'));
    if ends_as_a_note || is_hidden { Err(HubError::Reserved(file.file.clone())) } else { Ok(()) }
}

/// The folders that lead to a file, and its name: owner, repository, revision, and the path within. A revision is one
/// folder, though it may have a slash (`refs/pr/1`): two files must never meet in one place.
pub fn place(file: &ModelRef) -> (Vec<String>, String) {
    let mut parts: Vec<String> = file.repo.split('/').map(String::from).collect();
    parts.push(file.revision.replace('/', SLASH));
    parts.extend(file.file.split('/').map(String::from));
    let name = parts.pop().unwrap_or_default();
    (parts, name)
}

/// Stands for a slash in a revision's folder; no revision has a percent sign.
pub const SLASH: &str = "%2F";

#[cfg(test)]
mod tests {
    use super::*;

    fn file(revision: &str, file: &str) -> ModelRef {
        ModelRef { repo: "a/b".into(), revision: revision.into(), file: file.into(), bytes: None, sha256: None }
    }

    #[test]
    fn two_files_never_meet_in_one_place() {
        assert_eq!(place(&file("x/y", "z")), (vec!["a".into(), "b".into(), "x%2Fy".into()], "z".into()));
        assert_ne!(place(&file("x/y", "z")), place(&file("x", "y/z")));
    }

    #[test]
    fn names_of_notes_are_refused() {
        for name in ["m.gguf.part", "m.gguf.part.json", "m.gguf.note.json", ".m.gguf.sha256", "sub/.hidden"] {
            assert!(matches!(refuse_reserved(&file("main", name)), Err(HubError::Reserved(_))), "{name}");
        }
        assert!(refuse_reserved(&file("main", "sub/m.part.gguf")).is_ok());
    }
}
