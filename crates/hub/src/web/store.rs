//! The browser's cache of model files.

use super::opfs::{self, Exclusive};
use super::source::BlobSource;
use crate::store::{NOTE, Writer, place};
use crate::{CacheEntry, HubError, Partial, Store};
use js_sys::{Array, Uint8Array};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use tiller_formats::ByteSource;
use tiller_sites::ModelRef;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, File, FileSystemDirectoryHandle, FileSystemFileHandle, StorageEstimate, WorkerGlobalScope};

/// Files under their names on the hub, each with a note beside it that says what it is; or, where the browser refuses
/// storage, blobs in its memory that live as long as the tab.
#[derive(Clone, Debug)]
pub struct BrowserStore(Place);

#[derive(Clone, Debug)]
enum Place {
    Disk(FileSystemDirectoryHandle),
    Memory(Rc<RefCell<BTreeMap<String, (ModelRef, Blob)>>>),
}

/// How much of its storage the page uses, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StorageUse {
    pub used: Option<u64>,
    pub quota: Option<u64>,
    /// Whether files outlive the tab.
    pub persistent: bool,
}

/// What lies beside a file.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    model: ModelRef,
    complete: bool,
    partial: Partial,
}

impl BrowserStore {
    /// The private file system where there is one, else memory.
    pub async fn open() -> BrowserStore {
        match opfs::root().await {
            Ok(root) => BrowserStore(Place::Disk(root)),
            Err(_) => BrowserStore::in_memory(),
        }
    }

    /// Memory that lives as long as the tab, also where the browser would keep files.
    pub fn in_memory() -> BrowserStore {
        BrowserStore(Place::Memory(Rc::default()))
    }

    pub async fn usage(&self) -> StorageUse {
        let (used, quota) = estimate().await;
        StorageUse { used, quota, persistent: matches!(self.0, Place::Disk(_)) }
    }
}

/// Bytes of the browser's storage that this page uses and may use, where the browser says.
async fn estimate() -> (Option<u64>, Option<u64>) {
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let storage = scope.navigator().storage();
    if storage.is_undefined() {
        return (None, None);
    }
    let Ok(promise) = storage.estimate() else { return (None, None) };
    let Ok(estimate) = JsFuture::from(promise).await else { return (None, None) };
    let estimate: StorageEstimate = estimate.unchecked_into();
    (estimate.get_usage().map(|bytes| bytes as u64), estimate.get_quota().map(|bytes| bytes as u64))
}

fn key(file: &ModelRef) -> String {
    let (folders, name) = place(file);
    folders.join("/") + "/" + &name
}

/// Whether a complete file is the one that `file` names. Both were checked when it came.
fn is_meant(kept: &ModelRef, file: &ModelRef) -> bool {
    let agrees = file.bytes.is_none_or(|bytes| kept.bytes == Some(bytes))
        && file.sha256.as_ref().is_none_or(|sha256| kept.sha256.as_ref() == Some(sha256));
    agrees && kept.repo == file.repo && kept.revision == file.revision && kept.file == file.file
}

/// A commit's files never change; those of a branch or a tag may.
fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The folder that holds `file`, and the file's own name in it.
async fn folder_of(
    root: &FileSystemDirectoryHandle,
    file: &ModelRef,
    create: bool,
) -> Result<Option<(FileSystemDirectoryHandle, String)>, HubError> {
    let (folders, name) = place(file);
    let mut folder = root.clone();
    for inner in folders {
        match opfs::folder(&folder, &inner, create).await? {
            Some(inner) => folder = inner,
            None => return Ok(None),
        }
    }
    Ok(Some((folder, name)))
}

async fn read_note(folder: &FileSystemDirectoryHandle, name: &str) -> Result<Option<Note>, HubError> {
    let Some(handle) = opfs::file(folder, &format!("{name}{NOTE}"), false).await? else { return Ok(None) };
    let source = BlobSource::new(opfs::snapshot(&handle).await?.into());
    let bytes = source.read_at(0, source.len().min(1 << 16) as usize).await;
    Ok(bytes.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

async fn write_note(handle: &FileSystemFileHandle, note: &Note) -> Result<(), HubError> {
    let bytes = serde_json::to_vec(note).map_err(|error| HubError::Storage(error.to_string()))?;
    let file = Exclusive::open(handle).await?;
    file.truncate(0)?;
    file.write(0, &bytes)?;
    file.flush()
}

/// A file that is complete, with what is known about it.
async fn complete(root: &FileSystemDirectoryHandle, file: &ModelRef) -> Result<Option<(ModelRef, File)>, HubError> {
    let Some((folder, name)) = folder_of(root, file, false).await? else { return Ok(None) };
    let Some(note) = read_note(&folder, &name).await?.filter(|note| note.complete) else { return Ok(None) };
    let Some(handle) = opfs::file(&folder, &name, false).await? else { return Ok(None) };
    let bytes = opfs::snapshot(&handle).await?;
    Ok((note.model.bytes == Some(bytes.size() as u64)).then_some((note.model, bytes)))
}

impl Store for BrowserStore {
    type File = BlobSource;
    type Writer = BrowserWriter;

    async fn open(&self, file: &ModelRef) -> Result<Option<BlobSource>, HubError> {
        let (kept, blob) = match &self.0 {
            Place::Memory(files) => match files.borrow().get(&key(file)) {
                Some((kept, blob)) => (kept.clone(), blob.clone()),
                None => return Ok(None),
            },
            Place::Disk(root) => match complete(root, file).await? {
                Some((kept, file)) => (kept, file.into()),
                None => return Ok(None),
            },
        };
        match is_meant(&kept, file) {
            true => Ok(Some(BlobSource::new(blob))),
            // Fetching it again could only end in the same bytes, after the good file made room for them.
            false if is_commit(&file.revision) => Err(HubError::OtherFile { file: file.file.clone() }),
            false => Ok(None),
        }
    }

    async fn append(&self, file: &ModelRef) -> Result<BrowserWriter, HubError> {
        let Place::Disk(root) = &self.0 else {
            let to = Target::Memory { parts: Array::new() };
            return Ok(BrowserWriter { model: file.clone(), len: 0, partial: Partial::default(), to });
        };
        let (folder, name) = folder_of(root, file, true).await?.expect("folders that are created are there");
        let handle = opfs::file(&folder, &name, true).await?.expect("a file that is created is there");
        let bytes = Exclusive::open(&handle).await?;
        let note = opfs::file(&folder, &format!("{name}{NOTE}"), true).await?.expect("created as well");
        let left = read_note(&folder, &name).await?.filter(|note| !note.complete);
        let len = bytes.len()?;
        let to = Target::Disk { bytes, handle, note, folder, name };
        let mut writer = BrowserWriter { model: file.clone(), len, partial: Partial::default(), to };
        match left {
            Some(left) => writer.partial = left.partial,
            // Without a note nobody knows what the bytes are of.
            None => writer.restart(Partial::default()).await?,
        }
        Ok(writer)
    }

    async fn received(&self, file: &ModelRef) -> u64 {
        match &self.0 {
            Place::Memory(files) => files.borrow().get(&key(file)).map_or(0, |(_, blob)| blob.size() as u64),
            Place::Disk(root) => {
                let Ok(Some((folder, name))) = folder_of(root, file, false).await else { return 0 };
                let Ok(Some(handle)) = opfs::file(&folder, &name, false).await else { return 0 };
                opfs::snapshot(&handle).await.map_or(0, |bytes| bytes.size() as u64)
            }
        }
    }

    async fn finish(&self, file: &ModelRef, writer: BrowserWriter) -> Result<BlobSource, HubError> {
        let BrowserWriter { partial, to, .. } = writer;
        let model = file.clone();
        match (to, &self.0) {
            (Target::Disk { bytes, handle, note, .. }, _) => {
                bytes.flush()?;
                // While the bytes are still nobody else's: another tab would take the file for one that was cut.
                write_note(&note, &Note { model, complete: true, partial }).await?;
                drop(bytes);
                Ok(BlobSource::new(opfs::snapshot(&handle).await?.into()))
            }
            (Target::Memory { parts }, place) => {
                let blob = Blob::new_with_blob_sequence(&parts).map_err(opfs::error)?;
                if let Place::Memory(files) = place {
                    files.borrow_mut().insert(key(file), (model, blob.clone()));
                }
                Ok(BlobSource::new(blob))
            }
        }
    }

    async fn remove(&self, file: &ModelRef) -> Result<(), HubError> {
        match &self.0 {
            Place::Memory(files) => drop(files.borrow_mut().remove(&key(file))),
            Place::Disk(root) => {
                if let Some((folder, name)) = folder_of(root, file, false).await? {
                    opfs::remove(&folder, &name).await?;
                    opfs::remove(&folder, &format!("{name}{NOTE}")).await?;
                }
            }
        }
        Ok(())
    }

    async fn list(&self) -> Result<Vec<CacheEntry>, HubError> {
        let root = match &self.0 {
            Place::Disk(root) => root,
            Place::Memory(files) => {
                let entry = |(model, blob): &(ModelRef, Blob)| CacheEntry {
                    model: model.clone(),
                    bytes: blob.size() as u64,
                    complete: true,
                };
                return Ok(files.borrow().values().map(entry).collect());
            }
        };
        let mut entries = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for (name, handle) in opfs::inside(&folder).await? {
                if handle.is_instance_of::<FileSystemDirectoryHandle>() {
                    folders.push(handle.unchecked_into());
                } else if !name.ends_with(NOTE)
                    && let Some(note) = read_note(&folder, &name).await?
                {
                    let bytes = opfs::snapshot(&handle.unchecked_into()).await?.size() as u64;
                    entries.push(CacheEntry { model: note.model, bytes, complete: note.complete });
                }
            }
        }
        entries.sort_by(|a, b| key(&a.model).cmp(&key(&b.model)));
        Ok(entries)
    }
}

/// A file that is being received.
#[derive(Debug)]
pub struct BrowserWriter {
    model: ModelRef,
    len: u64,
    partial: Partial,
    to: Target,
}

#[derive(Debug)]
enum Target {
    Disk {
        bytes: Exclusive,
        handle: FileSystemFileHandle,
        note: FileSystemFileHandle,
        folder: FileSystemDirectoryHandle,
        name: String,
    },
    /// Blobs: the browser keeps those where it likes, and need not copy them to put them together.
    Memory { parts: Array },
}

impl Writer for BrowserWriter {
    fn len(&self) -> u64 {
        self.len
    }

    fn partial(&self) -> &Partial {
        &self.partial
    }

    async fn room(&self) -> Option<u64> {
        match (&self.to, estimate().await) {
            (Target::Disk { .. }, (Some(used), Some(quota))) => Some(quota.saturating_sub(used)),
            _ => None,
        }
    }

    async fn read(&mut self, at: u64, len: usize) -> Result<Vec<u8>, HubError> {
        match &self.to {
            Target::Disk { bytes, .. } => bytes.read(at, len),
            // Memory begins empty in every transfer: there is nothing to read again.
            Target::Memory { .. } => Ok(Vec::new()),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        match &self.to {
            Target::Disk { bytes: file, .. } => file.write(self.len, bytes)?,
            Target::Memory { parts } => {
                let part = Blob::new_with_u8_array_sequence(&Array::of1(&Uint8Array::from(bytes)));
                parts.push(part.map_err(opfs::error)?.as_ref());
            }
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    async fn restart(&mut self, partial: Partial) -> Result<(), HubError> {
        match &mut self.to {
            Target::Disk { bytes, note, .. } => {
                // First the note: it must never call bytes complete that are not there.
                let kept = Note { model: self.model.clone(), complete: false, partial: partial.clone() };
                write_note(note, &kept).await?;
                bytes.truncate(0)?;
            }
            Target::Memory { parts } => *parts = Array::new(),
        }
        self.partial = partial;
        self.len = 0;
        Ok(())
    }

    async fn discard(self) -> Result<(), HubError> {
        if let Target::Disk { bytes, folder, name, .. } = self.to {
            drop(bytes);
            opfs::remove(&folder, &name).await?;
            opfs::remove(&folder, &format!("{name}{NOTE}")).await?;
        }
        Ok(())
    }
}
