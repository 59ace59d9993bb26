//! The browser's cache of model files, as the page is told of it.

use crate::failure::Stop;
use tiller_formats::ByteSource;
use tiller_hub::{BlobSource, BrowserStore, Cancel, Hub, HubError, Partial, Progress, Store, Writer};
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
    ) -> Result<Obtained, HubError> {
        file.validate()?;
        if let Some(file) = self.memory.open(file).await? {
            return Ok(Obtained { file, note: Some(IN_MEMORY.into()) });
        }
        let error = match tiller_hub::obtain(hub, &self.store, file, cancel, &mut on_progress).await {
            Ok(file) => {
                let persistent = self.store.usage().await.persistent;
                return Ok(Obtained { file, note: (!persistent).then(|| IN_MEMORY.to_string()) });
            }
            Err(error) if error.is_of_the_store() => error,
            Err(error) => return Err(error),
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

    /// Remembers that the repository has no such file. Where that fails, the hub is asked again another time.
    pub async fn keep_as_absent(&self, file: &ModelRef) {
        let Ok(mut writer) = self.store.append(file).await else { return };
        if writer.restart(Partial::default()).await.is_ok() {
            let empty = ModelRef { bytes: Some(0), ..file.clone() };
            let _ = self.store.finish(&empty, writer).await;
        }
    }

    /// Keeps a file that was made here, in the place of one of that name.
    pub async fn keep(&self, file: &ModelRef, bytes: &[u8]) -> Result<(), HubError> {
        let mut writer = self.store.append(file).await?;
        writer.restart(Partial::default()).await?;
        writer.write(bytes).await?;
        self.store.finish(file, writer).await?;
        Ok(())
    }

    /// The bytes of a file that was made here, if it is still kept.
    pub async fn kept(&self, file: &ModelRef) -> Result<Option<Vec<u8>>, Stop> {
        file.validate().map_err(HubError::from)?;
        let Some(file) = self.store.open(file).await? else { return Ok(None) };
        let bytes = file.read_at(0, file.len() as usize).await;
        Ok(Some(bytes.map_err(|error| HubError::Storage(error.to_string()))?))
    }

    /// Deletes a model: its file, or all files of its folder.
    pub async fn delete(&self, file: &ModelRef) -> Result<CacheReport, Stop> {
        file.validate().map_err(HubError::from)?;
        for store in [&self.memory, &self.store] {
            store.remove(file).await?;
            for entry in store.list().await?.into_iter().filter(|entry| of_one_folder(&entry.model, file)) {
                store.remove(&entry.model).await?;
            }
        }
        self.report().await
    }

    pub async fn report(&self) -> Result<CacheReport, Stop> {
        let usage = self.store.usage().await;
        let mut entries: Vec<CacheEntry> = Vec::new();
        for (store, outlives_tab) in [(&self.store, usage.persistent), (&self.memory, false)] {
            for entry in store.list().await? {
                let entry =
                    CacheEntry { model: entry.model, bytes: entry.bytes, complete: entry.complete, outlives_tab };
                let same = |known: &&mut CacheEntry| {
                    known.outlives_tab == outlives_tab && of_one_folder(&known.model, &entry.model)
                };
                match entries.iter_mut().find(same) {
                    Some(folder) => {
                        folder.bytes += entry.bytes;
                        folder.complete &= entry.complete;
                        if stands_for_folder(&entry.model) > stands_for_folder(&folder.model) {
                            folder.model = entry.model;
                        }
                    }
                    None => entries.push(entry),
                }
            }
        }
        // The browser's estimate can lag behind what lies there.
        let listed = entries.iter().filter(|entry| entry.outlives_tab).map(|entry| entry.bytes).sum();
        let used = usage.used.map(|used| used.max(listed));
        Ok(CacheReport { entries, used, quota: usage.quota, persistent: usage.persistent })
    }
}

/// Whether a file stands for one that its repository does not have: none of a model's files is empty.
pub fn is_absent(file: &BlobSource) -> bool {
    file.is_empty()
}

/// Whether two files are of one model of several files: they lie side by side, and neither is a whole model.
fn of_one_folder(a: &ModelRef, b: &ModelRef) -> bool {
    let folder = |file: &ModelRef| file.file.rsplit_once('/').map(|(folder, _)| folder.to_string());
    let whole = |file: &ModelRef| file.file.ends_with(".gguf");
    (&a.repo, &a.revision) == (&b.repo, &b.revision) && folder(a) == folder(b) && !whole(a) && !whole(b)
}

/// How well a file's name stands for its folder's: the list of the weights first, then the weights.
fn stands_for_folder(file: &ModelRef) -> u8 {
    match &file.file {
        name if name.ends_with(".index.json") => 2,
        name if name.ends_with(".safetensors") => 1,
        _ => 0,
    }
}

const IN_MEMORY: &str = "This model is kept only until the tab is closed: the browser does not store it.";
