//! A tab: `fetch`, and the browser's private file system or its memory.

pub(crate) mod fetch;
mod opfs;
mod source;
mod store;

pub use source::BlobSource;
pub use store::{BrowserStore, StorageUse};
