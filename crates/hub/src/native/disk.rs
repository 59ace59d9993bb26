//! A folder that is laid out as the hub's paths are.

use crate::store::{PART, PART_NOTE, SLASH, Writer, place};
use crate::{CacheEntry, HubError, Partial, Store};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use tiller_formats::{ByteSource, FileSource};
use tiller_sites::ModelRef;

/// `{root}/{owner}/{name}/{revision}/{file}`; what is not complete has `.part` at the end, and what is known about it
/// lies beside it in `.part.json`.
#[derive(Clone, Debug)]
pub struct DiskStore {
    root: PathBuf,
}

impl DiskStore {
    pub fn new(root: impl Into<PathBuf>) -> DiskStore {
        DiskStore { root: root.into() }
    }

    /// Where the complete file is, or would be. `file` has been validated.
    pub fn path(&self, file: &ModelRef) -> PathBuf {
        let (folders, name) = place(file);
        folders.iter().fold(self.root.clone(), |path, folder| path.join(folder)).join(name)
    }
}

/// Folders within each other that a listing follows: links may lead in circles.
const DEEPEST: usize = 12;

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn storage(error: std::io::Error) -> HubError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => HubError::StorageFull { needed: 0 },
        _ => HubError::Storage(error.to_string()),
    }
}

impl Store for DiskStore {
    type File = FileSource;
    type Writer = DiskWriter;

    async fn open(&self, file: &ModelRef) -> Result<Option<FileSource>, HubError> {
        let path = self.path(file);
        if !path.is_file() {
            return Ok(None);
        }
        let source = FileSource::open(&path).map_err(storage)?;
        if file.bytes.is_some_and(|bytes| bytes != source.len()) {
            return Ok(None);
        }
        // Anybody may have put the file here, so that only its bytes say what it is.
        if let Some(expected) = &file.sha256
            && *expected != sha256(&path).map_err(storage)?
        {
            return Ok(None);
        }
        Ok(Some(source))
    }

    async fn append(&self, file: &ModelRef) -> Result<DiskWriter, HubError> {
        let path = self.path(file);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).map_err(storage)?;
        let (part, notes) = (beside(&path, PART), beside(&path, PART_NOTE));
        let open = OpenOptions::new().create(true).append(true).read(true).open(&part).map_err(storage)?;
        open.try_lock().map_err(|_| HubError::InUse)?;
        // Between opening and locking, whoever had the lock may have made this the complete file.
        if !part.exists() {
            return Err(HubError::InUse);
        }
        let len = open.metadata().map_err(storage)?.len();
        let partial = fs::read(&notes).ok().and_then(|notes| serde_json::from_slice(&notes).ok()).unwrap_or_default();
        Ok(DiskWriter { file: open, part, notes, len, partial })
    }

    async fn received(&self, file: &ModelRef) -> u64 {
        let path = self.path(file);
        let len = |path: &Path| path.metadata().map_or(0, |about| about.len());
        len(&path).max(len(&beside(&path, PART)))
    }

    async fn finish(&self, file: &ModelRef, writer: DiskWriter) -> Result<FileSource, HubError> {
        let path = self.path(file);
        writer.file.sync_all().map_err(storage)?;
        fs::rename(&writer.part, &path).map_err(storage)?;
        let _ = fs::remove_file(&writer.notes);
        FileSource::open(path).map_err(storage)
    }

    async fn remove(&self, file: &ModelRef) -> Result<(), HubError> {
        let path = self.path(file);
        for path in [beside(&path, PART), beside(&path, PART_NOTE), path] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(storage(error)),
                _ => {}
            }
        }
        Ok(())
    }

    async fn list(&self) -> Result<Vec<CacheEntry>, HubError> {
        let mut entries = Vec::new();
        let mut folders = vec![(self.root.clone(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            let Ok(inside) = fs::read_dir(&folder) else { continue };
            for item in inside.flatten() {
                let path = item.path();
                if path.is_dir() {
                    if depth < DEEPEST {
                        folders.push((path, depth + 1));
                    }
                } else if let Some(entry) = self.entry(&path) {
                    entries.push(entry);
                }
            }
        }
        entries.sort_by(|a, b| (&a.model.repo, &a.model.file).cmp(&(&b.model.repo, &b.model.file)));
        Ok(entries)
    }
}

impl DiskStore {
    fn entry(&self, path: &Path) -> Option<CacheEntry> {
        let bytes = path.metadata().ok()?.len();
        let within = path.strip_prefix(&self.root).ok()?.to_str()?.replace('\\', "/");
        let mut parts = within.splitn(4, '/');
        let (owner, name, revision, file) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let complete = !file.ends_with(PART);
        let file = file.strip_suffix(PART).unwrap_or(file);
        let model = ModelRef {
            repo: format!("{owner}/{name}"),
            revision: revision.replace(SLASH, "/"),
            file: file.into(),
            bytes: complete.then_some(bytes),
            sha256: None,
        };
        (file.ends_with(".gguf") && model.validate().is_ok()).then_some(CacheEntry { model, bytes, complete })
    }
}

#[derive(Debug)]
pub struct DiskWriter {
    file: File,
    part: PathBuf,
    notes: PathBuf,
    len: u64,
    partial: Partial,
}

impl Writer for DiskWriter {
    fn len(&self) -> u64 {
        self.len
    }

    fn partial(&self) -> &Partial {
        &self.partial
    }

    /// The system says so only when a write fails.
    async fn room(&self) -> Option<u64> {
        None
    }

    async fn read(&mut self, at: u64, len: usize) -> Result<Vec<u8>, HubError> {
        let source = FileSource::open(&self.part).map_err(storage)?;
        source.read_at(at, len).await.map_err(storage)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        self.file.write_all(bytes).map_err(storage)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    async fn restart(&mut self, partial: Partial) -> Result<(), HubError> {
        self.file.set_len(0).map_err(storage)?;
        self.len = 0;
        let notes = serde_json::to_vec(&partial).map_err(|error| HubError::Storage(error.to_string()))?;
        fs::write(&self.notes, notes).map_err(storage)?;
        self.partial = partial;
        Ok(())
    }

    async fn discard(self) -> Result<(), HubError> {
        fs::remove_file(&self.part).map_err(storage)?;
        let _ = fs::remove_file(&self.notes);
        Ok(())
    }
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut bytes = vec![0; 1 << 20];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => hash.update(&bytes[..read]),
        }
    }
}
