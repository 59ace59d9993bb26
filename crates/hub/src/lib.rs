//! Where bytes come from: the model hub's addresses, ranges, resume, checksums, caches.
//!
//! [`obtain`] is the one flow: look into the cache, else fetch, go on where a connection broke, check the sum, keep the
//! file. It is written once over a [`Store`] and a transport, of which there are two each: disk and a blocking client
//! natively; a browser's private file system (or its memory) and `fetch` in a tab.

mod cancel;
mod error;
mod hub;
mod listing;
mod obtain;
mod store;

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod web;

pub use cancel::Cancel;
pub use error::HubError;
pub use hub::{Hub, REAL_HUB};
pub use obtain::{Phase, Progress, obtain};
pub use store::{CacheEntry, Partial, Store, Writer};

#[cfg(not(target_arch = "wasm32"))]
pub use native::DiskStore;
#[cfg(target_arch = "wasm32")]
pub use web::{BlobSource, BrowserStore, StorageUse};
