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

    /// The complete file, if it is here and as long as `file` says.
    async fn open(&self, file: &ModelRef) -> Result<Option<Self::File>, HubError>;

    /// Opens the partial file to append to it, keeping what is there.
    async fn append(&self, file: &ModelRef) -> Result<Self::Writer, HubError>;

    /// Makes the partial file the complete one.
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

    /// Bytes `at .. at + len` of what is there.
    async fn read(&mut self, at: u64, len: usize) -> Result<Vec<u8>, HubError>;

    async fn write(&mut self, bytes: &[u8]) -> Result<(), HubError>;

    /// Forgets all bytes, and remembers `partial` for those to come.
    async fn restart(&mut self, partial: Partial) -> Result<(), HubError>;
}
