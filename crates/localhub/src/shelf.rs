//! The cache folder, read as the hub's repositories: `{root}/{owner}/{name}/{revision}/{path}`.

use crate::address::{SafePath, is_plain_name};
use crate::digest::{git_blob_id, sha256_of_file};
use crate::refusal::Missing;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the cached repositories stand.
#[derive(Debug, Clone)]
pub struct Shelf {
    root: PathBuf,
}

/// One revision of one repository.
#[derive(Debug, Clone)]
pub struct Revision {
    /// `owner/name`
    pub repo: String,
    pub commit: String,
    folder: PathBuf,
}

/// One file of a revision.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Below the revision's folder, with forward slashes.
    pub path: String,
    pub on_disk: PathBuf,
    pub size: u64,
}

/// How the hub identifies a file: by its git blob, or, for large files, by the SHA-256 of what git only points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    Git { oid: String },
    Lfs { pointer_oid: String, sha256: String },
}

impl Identity {
    pub fn etag(&self) -> String {
        match self {
            Identity::Git { oid } => format!("\"{oid}\""),
            Identity::Lfs { sha256, .. } => format!("\"{sha256}\""),
        }
    }
}

impl Shelf {
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// `main` is the revision that is there; of several, the one that came last.
    pub fn revision(&self, owner: &str, name: &str, revision: &str) -> Result<Revision, Missing> {
        let folder = self.root.join(owner).join(name);
        if !is_plain_name(owner) || !is_plain_name(name) || !folder.is_dir() {
            return Err(Missing::Repo);
        }
        let found = |commit: String| Revision { repo: format!("{owner}/{name}"), folder: folder.join(&commit), commit };
        if is_plain_name(revision) && folder.join(revision).is_dir() {
            return Ok(found(revision.to_owned()));
        }
        if revision == "main" {
            return newest_folder(&folder).map(found).ok_or(Missing::Revision);
        }
        Err(Missing::Revision)
    }
}

impl Revision {
    pub fn entry(&self, path: &str) -> Result<Entry, Missing> {
        let safe = SafePath::parse(path).ok_or(Missing::Entry)?;
        let on_disk = safe.below(&self.folder);
        match fs::metadata(&on_disk) {
            Ok(about) if about.is_file() => Ok(Entry { path: safe.as_str().to_owned(), on_disk, size: about.len() }),
            _ => Err(Missing::Entry),
        }
    }

    /// Every file of the revision, by path.
    pub fn entries(&self) -> std::io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        collect(&self.folder, "", &mut entries)?;
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }
}

impl Entry {
    pub fn identity(&self) -> Result<Identity> {
        if self.is_large() {
            let sha256 = sha256_of_file(&self.on_disk)?;
            let pointer =
                format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {}\n", self.size);
            return Ok(Identity::Lfs { pointer_oid: git_blob_id(pointer.as_bytes()), sha256 });
        }
        Ok(Identity::Git { oid: git_blob_id(&fs::read(&self.on_disk)?) })
    }

    /// The hub keeps these outside git: the kinds its default `.gitattributes` names, and all above 10 MB.
    pub fn is_large(&self) -> bool {
        const KINDS: [&str; 12] =
            ["bin", "gguf", "gz", "model", "npy", "npz", "onnx", "parquet", "pt", "pth", "safetensors", "zip"];
        let kind = Path::new(&self.path).extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        self.size > 10_000_000 || KINDS.contains(&kind)
    }
}

fn collect(folder: &Path, prefix: &str, entries: &mut Vec<Entry>) -> std::io::Result<()> {
    for child in fs::read_dir(folder)? {
        let child = child?;
        let Some(name) = child.file_name().to_str().filter(|name| is_plain_name(name)).map(str::to_owned) else {
            continue;
        };
        // Through links, as `entry` does: people link model files that they have elsewhere.
        let about = fs::metadata(child.path())?;
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        if about.is_dir() {
            collect(&child.path(), &path, entries)?;
        } else {
            entries.push(Entry { path, on_disk: child.path(), size: about.len() });
        }
    }
    Ok(())
}

fn newest_folder(folder: &Path) -> Option<String> {
    let children = fs::read_dir(folder).ok()?.flatten();
    children
        .filter(|child| child.path().is_dir())
        .filter_map(|child| Some((child.metadata().ok()?.modified().ok()?, child.file_name().to_str()?.to_owned())))
        .filter(|(_, name)| is_plain_name(name))
        .max()
        .map(|(_, name)| name)
}
