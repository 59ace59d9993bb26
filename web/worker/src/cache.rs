//! The browser's cache of model files, as the page is told of it.

use crate::failure::Stop;
use tiller_hub::{BlobSource, BrowserStore, Cancel, Hub, Progress, Store};
use tiller_protocol::{CacheEntry, CacheReport, ModelRef};

pub struct Cache {
    store: BrowserStore,
}

impl Cache {
    pub async fn open() -> Cache {
        Cache { store: BrowserStore::open().await }
    }

    /// The file, from the cache or from the hub.
    pub async fn obtain(
        &self,
        hub: &Hub,
        file: &ModelRef,
        cancel: &Cancel,
        on_progress: impl FnMut(Progress),
    ) -> Result<BlobSource, Stop> {
        Ok(tiller_hub::obtain(hub, &self.store, file, cancel, on_progress).await?)
    }

    pub async fn delete(&self, file: &ModelRef) -> Result<CacheReport, Stop> {
        file.validate().map_err(tiller_hub::HubError::from)?;
        self.store.remove(file).await?;
        self.report().await
    }

    pub async fn report(&self) -> Result<CacheReport, Stop> {
        let entry = |entry: tiller_hub::CacheEntry| CacheEntry {
            model: entry.model,
            bytes: entry.bytes,
            complete: entry.complete,
        };
        let entries: Vec<CacheEntry> = self.store.list().await?.into_iter().map(entry).collect();
        let usage = self.store.usage().await;
        // The browser's estimate can lag behind what lies there.
        let listed = entries.iter().map(|entry| entry.bytes).sum();
        let used = usage.used.map(|used| used.max(listed));
        Ok(CacheReport { entries, used, quota: usage.quota, persistent: usage.persistent })
    }
}
