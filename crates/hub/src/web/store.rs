//! The browser's cache of model files.

use super::opfs::{self, Exclusive};
use super::source::BlobSource;
use crate::store::Writer;
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
use web_sys::{Blob, FileSystemDirectoryHandle, FileSystemFileHandle, StorageEstimate, WorkerGlobalScope};

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

const NOTE: &str = ".note.json";

impl BrowserStore {
    /// The private file system where there is one, else memory.
    pub async fn open() -> BrowserStore {
        match opfs::root().await {
            Ok(root) => BrowserStore(Place::Disk(root)),
            Err(_) => BrowserStore(Place::Memory(Rc::default())),
        }
    }

    pub async fn usage(&self) -> StorageUse {
        let persistent = matches!(self.0, Place::Disk(_));
        let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
        let unknown = StorageUse { used: None, quota: None, persistent };
        let Ok(estimate) = scope.navigator().storage().estimate() else { return unknown };
        let Ok(estimate) = JsFuture::from(estimate).await else { return unknown };
        let estimate: StorageEstimate = estimate.unchecked_into();
        StorageUse {
            used: estimate.get_usage().map(|bytes| bytes as u64),
            quota: estimate.get_quota().map(|bytes| bytes as u64),
            persistent,
        }
    }
}

fn key(file: &ModelRef) -> String {
    format!("{}/{}/{}", file.repo, file.revision, file.file)
}

/// The folder that holds `file`, and the file's own name in it.
async fn folder_of(
    root: &FileSystemDirectoryHandle,
    file: &ModelRef,
    create: bool,
) -> Result<Option<(FileSystemDirectoryHandle, String)>, HubError> {
    let key = key(file);
    let mut parts: Vec<&str> = key.split('/').collect();
    let name = parts.pop().unwrap_or_default().to_string();
    let mut folder = root.clone();
    for part in parts {
        match opfs::folder(&folder, part, create).await? {
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

impl Store for BrowserStore {
    type File = BlobSource;
    type Writer = BrowserWriter;

    async fn open(&self, file: &ModelRef) -> Result<Option<BlobSource>, HubError> {
        let blob = match &self.0 {
            Place::Memory(files) => files.borrow().get(&key(file)).map(|(_, blob)| blob.clone()),
            Place::Disk(root) => match folder_of(root, file, false).await? {
                Some((folder, name)) if read_note(&folder, &name).await?.is_some_and(|note| note.complete) => {
                    match opfs::file(&folder, &name, false).await? {
                        Some(handle) => Some(opfs::snapshot(&handle).await?.into()),
                        None => None,
                    }
                }
                _ => None,
            },
        };
        let source = blob.map(BlobSource::new);
        Ok(source.filter(|source| file.bytes.is_none_or(|bytes| bytes == source.len())))
    }

    async fn append(&self, file: &ModelRef) -> Result<BrowserWriter, HubError> {
        let to = match &self.0 {
            Place::Memory(_) => Target::Memory { parts: Array::new() },
            Place::Disk(root) => {
                let (folder, name) = folder_of(root, file, true).await?.expect("folders that are created are there");
                let handle = opfs::file(&folder, &name, true).await?.expect("a file that is created is there");
                let note = opfs::file(&folder, &format!("{name}{NOTE}"), true).await?.expect("created as well");
                let left = read_note(&folder, &name).await?;
                let target = Target::Disk { bytes: Exclusive::open(&handle).await?, handle, note };
                let mut writer = BrowserWriter { model: file.clone(), len: 0, partial: Partial::default(), to: target };
                match left.filter(|note| !note.complete) {
                    Some(note) => writer.partial = note.partial,
                    // Without a note nobody knows what the bytes are of.
                    None => writer.restart(Partial::default()).await?,
                }
                if let Target::Disk { bytes, .. } = &writer.to {
                    writer.len = bytes.len()?;
                }
                return Ok(writer);
            }
        };
        Ok(BrowserWriter { model: file.clone(), len: 0, partial: Partial::default(), to })
    }

    async fn finish(&self, file: &ModelRef, writer: BrowserWriter) -> Result<BlobSource, HubError> {
        let BrowserWriter { partial, len, to, .. } = writer;
        let model = ModelRef { bytes: Some(len), ..file.clone() };
        match (to, &self.0) {
            (Target::Disk { bytes, handle, note }, _) => {
                bytes.flush()?;
                drop(bytes);
                write_note(&note, &Note { model, complete: true, partial }).await?;
                Ok(BlobSource::new(opfs::snapshot(&handle).await?.into()))
            }
            (Target::Memory { parts }, place) => {
                let blob = Blob::new_with_u8_array_sequence(&parts).map_err(opfs::error)?;
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
    Disk { bytes: Exclusive, handle: FileSystemFileHandle, note: FileSystemFileHandle },
    Memory { parts: Array },
}

impl Writer for BrowserWriter {
    fn len(&self) -> u64 {
        self.len
    }

    fn partial(&self) -> &Partial {
        &self.partial
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
            Target::Memory { parts } => drop(parts.push(&Uint8Array::from(bytes))),
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    async fn restart(&mut self, partial: Partial) -> Result<(), HubError> {
        match &mut self.to {
            Target::Disk { bytes, note, .. } => {
                bytes.truncate(0)?;
                let kept = Note { model: self.model.clone(), complete: false, partial: partial.clone() };
                write_note(note, &kept).await?;
            }
            Target::Memory { parts } => *parts = Array::new(),
        }
        self.partial = partial;
        self.len = 0;
        Ok(())
    }
}
