//! Where bytes come from: the model hub's addresses, ranges, resume, checksums, caches.
//!
//! [`obtain`] is the one flow: look into the cache, else fetch, go on where a connection broke, check the sum, keep the
//! file. It is written once over a [`Store`] and a transport, of which there are two each: disk and a thread for each
//! request natively; a browser's private file system (or its memory) and `fetch` in a tab. [`Repository::look_up`] says
//! what a repository holds, and [`offer`] which of it a tab can load.

mod answer;
mod cancel;
mod error;
mod folder;
mod hub;
mod listing;
mod obtain;
mod offer;
mod parts;
mod progress;
mod quantisation;
mod repository;
mod retry;
mod sae_offer;
mod store;
mod transfer;

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod web;

pub use cancel::Cancel;
pub use error::HubError;
pub use folder::HubFolder;
pub use hub::Hub;
pub use obtain::obtain;
pub use offer::{Choice, Fit, Offer, What, offer};
pub use progress::{Phase, Progress};
pub use repository::{Repository, RepositoryFile};
pub use sae_offer::saes;
pub use store::{CacheEntry, Partial, Store, Writer};
pub use tiller_sites::AccessToken;

#[cfg(not(target_arch = "wasm32"))]
pub use native::{DiskStore, cache_folder};
#[cfg(target_arch = "wasm32")]
pub use web::{BlobSource, BrowserStore, StorageUse};
