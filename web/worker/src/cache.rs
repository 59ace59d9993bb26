//! The browser's cache of model files, as the page is told of it.

use crate::failure::Stop;
use tiller_hub::{BlobSource, BrowserStore, Cancel, Hub, HubError, Progress, Store};
use tiller_protocol::{CacheEntry, CacheReport, ModelRef};

pub struct Cache {
    store: BrowserStore,
    /// For what the other has no room for.
    memory: BrowserStore,
}

/// A file, and one sentence where it is not kept as one would wish.
pub struct Obtained {
    pub file: BlobSource,
    pub note: Option<String>,
}

impl Cache {
    pub async fn open() -> Cache {
        Cache { store: BrowserStore::open().await, memory: BrowserStore::in_memory() }
    }

    /// Whether the file is here.
    pub async fn has(&self, file: &ModelRef) -> Result<bool, Stop> {
        file.validate().map_err(HubError::from)?;
        Ok(self.memory.open(file).await?.is_some() || self.store.open(file).await?.is_some())
    }

    /// The file, from the cache or from the hub. Where the browser's storage is full, or fails, the file is held in
    /// memory instead.
    pub async fn obtain(
        &self,
        hub: &Hub,
        file: &ModelRef,
        cancel: &Cancel,
        mut on_progress: impl FnMut(Progress),
    ) -> Result<Obtained, Stop> {
        file.validate().map_err(HubError::from)?;
        if let Some(file) = self.memory.open(file).await? {
            return Ok(Obtained { file, note: Some(IN_MEMORY.into()) });
        }
        let error = match tiller_hub::obtain(hub, &self.store, file, cancel, &mut on_progress).await {
            Ok(file) => {
                let persistent = self.store.usage().await.persistent;
                return Ok(Obtained { file, note: (!persistent).then(|| IN_MEMORY.to_string()) });
            }
            Err(error) if error.is_of_the_store() => error,
            Err(error) => return Err(error.into()),
        };
        // What there was room for is of no use any more.
        let _ = self.store.remove(file).await;
        let file = tiller_hub::obtain(hub, &self.memory, file, cancel, &mut on_progress).await?;
        let note = match error {
            HubError::StorageFull { .. } => {
                "The browser's storage is full, so this model is kept only until the tab is closed: delete others that \
                 are not used any more."
            }
            _ => "The browser's storage failed, so this model is kept only until the tab is closed.",
        };
        Ok(Obtained { file, note: Some(note.into()) })
    }

    pub async fn delete(&self, file: &ModelRef) -> Result<CacheReport, Stop> {
        file.validate().map_err(HubError::from)?;
        self.memory.remove(file).await?;
        self.store.remove(file).await?;
        self.report().await
    }

    pub async fn report(&self) -> Result<CacheReport, Stop> {
        let usage = self.store.usage().await;
        let mut entries = Vec::new();
        for (store, outlives_tab) in [(&self.store, usage.persistent), (&self.memory, false)] {
            entries.extend(store.list().await?.into_iter().map(|entry| CacheEntry {
                model: entry.model,
                bytes: entry.bytes,
                complete: entry.complete,
                outlives_tab,
            }));
        }
        // The browser's estimate can lag behind what lies there.
        let listed = entries.iter().filter(|entry| entry.outlives_tab).map(|entry| entry.bytes).sum();
        let used = usage.used.map(|used| used.max(listed));
        Ok(CacheReport { entries, used, quota: usage.quota, persistent: usage.persistent })
    }
}

const IN_MEMORY: &str = "This model is kept only until the tab is closed: the browser does not store it.";
