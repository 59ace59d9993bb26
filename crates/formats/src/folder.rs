//! Files that belong together, found by their names.

use crate::ByteSource;
use std::collections::BTreeMap;
use std::io;

/// A folder of files, wherever it lies: on disk, on the hub, in memory.
///
/// Futures need not be `Send`: a folder is used by one thread.
#[allow(async_fn_in_trait)]
pub trait Folder {
    type File: ByteSource;

    /// The file of this name; `None` where there is none. The name is a plain one, without a path.
    async fn open(&self, name: &str) -> io::Result<Option<Self::File>>;
}

impl<F: Folder + ?Sized> Folder for &F {
    type File = F::File;

    async fn open(&self, name: &str) -> io::Result<Option<F::File>> {
        (**self).open(name).await
    }
}

/// Files in memory.
impl Folder for BTreeMap<String, Vec<u8>> {
    type File = Vec<u8>;

    async fn open(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.get(name).cloned())
    }
}

/// A folder on disk.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Clone, Debug)]
pub struct DiskFolder {
    path: std::path::PathBuf,
}

#[cfg(not(target_arch = "wasm32"))]
impl DiskFolder {
    pub fn new(path: impl Into<std::path::PathBuf>) -> DiskFolder {
        DiskFolder { path: path.into() }
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Folder for DiskFolder {
    type File = crate::FileSource;

    async fn open(&self, name: &str) -> io::Result<Option<crate::FileSource>> {
        match crate::FileSource::open(self.path.join(name)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
