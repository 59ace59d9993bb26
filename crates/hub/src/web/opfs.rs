//! The origin private file system: folders, files, and exclusive handles to write with.

use crate::HubError;
use js_sys::{Array, AsyncIterator, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DomException, File, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemReadWriteOptions, FileSystemSyncAccessHandle, WorkerGlobalScope,
};

/// What the browser says, as an error with a remedy.
pub fn error(thrown: JsValue) -> HubError {
    match thrown.dyn_ref::<DomException>().map(|exception| (exception.name(), exception.message())) {
        Some((name, _)) if name == "QuotaExceededError" => HubError::StorageFull { needed: 0 },
        Some((name, _)) if name == "NoModificationAllowedError" => HubError::InUse,
        Some((name, message)) => HubError::Storage(format!("{name}: {message}")),
        None => HubError::Storage("the browser does not say why".into()),
    }
}

fn is_missing(thrown: &JsValue) -> bool {
    thrown.dyn_ref::<DomException>().is_some_and(|exception| exception.name() == "NotFoundError")
}

fn none_if_missing<T>(found: Result<T, JsValue>) -> Result<Option<T>, HubError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(thrown) if is_missing(&thrown) => Ok(None),
        Err(thrown) => Err(error(thrown)),
    }
}

/// The folder of the page's files; an error where the browser has none or refuses it (private windows).
pub async fn root() -> Result<FileSystemDirectoryHandle, HubError> {
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let storage = scope.navigator().storage();
    let can = |name: &str| Reflect::has(&storage, &name.into()).unwrap_or(false);
    if storage.is_undefined() || !can("getDirectory") {
        return Err(HubError::Storage("this browser has no private file system".into()));
    }
    let root = JsFuture::from(storage.get_directory()).await.map_err(error)?.unchecked_into();
    Ok(folder(&root, "models", true).await?.expect("a folder that is created is there"))
}

/// The folder `name` in `parent`; `None` where there is none and none is to be created.
pub async fn folder(
    parent: &FileSystemDirectoryHandle,
    name: &str,
    create: bool,
) -> Result<Option<FileSystemDirectoryHandle>, HubError> {
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(create);
    let found = JsFuture::from(parent.get_directory_handle_with_options(name, &options)).await;
    Ok(none_if_missing(found)?.map(JsValue::unchecked_into))
}

/// The file `name` in `parent`; `None` where there is none and none is to be created.
pub async fn file(
    parent: &FileSystemDirectoryHandle,
    name: &str,
    create: bool,
) -> Result<Option<FileSystemFileHandle>, HubError> {
    let options = FileSystemGetFileOptions::new();
    options.set_create(create);
    let found = JsFuture::from(parent.get_file_handle_with_options(name, &options)).await;
    Ok(none_if_missing(found)?.map(JsValue::unchecked_into))
}

/// The file's bytes as they are now.
pub async fn snapshot(handle: &FileSystemFileHandle) -> Result<File, HubError> {
    Ok(JsFuture::from(handle.get_file()).await.map_err(error)?.unchecked_into())
}

pub async fn remove(parent: &FileSystemDirectoryHandle, name: &str) -> Result<(), HubError> {
    none_if_missing(JsFuture::from(parent.remove_entry(name)).await).map(drop)
}

/// What is in a folder: names, and whether each is a folder.
pub async fn inside(parent: &FileSystemDirectoryHandle) -> Result<Vec<(String, JsValue)>, HubError> {
    let entries: AsyncIterator = parent.entries();
    let mut found = Vec::new();
    loop {
        let next = JsFuture::from(entries.next().map_err(error)?).await.map_err(error)?;
        let field = |name: &str| Reflect::get(&next, &name.into()).unwrap_or(JsValue::UNDEFINED);
        if field("done").is_truthy() {
            return Ok(found);
        }
        let pair: Array = field("value").unchecked_into();
        if let Some(name) = pair.get(0).as_string() {
            found.push((name, pair.get(1)));
        }
    }
}

/// An exclusive handle: while it is open, no other tab can write the file.
#[derive(Debug)]
pub struct Exclusive(FileSystemSyncAccessHandle);

impl Exclusive {
    pub async fn open(handle: &FileSystemFileHandle) -> Result<Exclusive, HubError> {
        let access = JsFuture::from(handle.create_sync_access_handle()).await.map_err(error)?;
        Ok(Exclusive(access.unchecked_into()))
    }

    pub fn len(&self) -> Result<u64, HubError> {
        Ok(self.0.get_size().map_err(error)? as u64)
    }

    pub fn truncate(&self, len: u64) -> Result<(), HubError> {
        self.0.truncate_with_f64(len as f64).map_err(error)
    }

    pub fn read(&self, at: u64, len: usize) -> Result<Vec<u8>, HubError> {
        let mut bytes = vec![0; len];
        let read = self.0.read_with_u8_array_and_options(&mut bytes, &at_offset(at)).map_err(error)?;
        bytes.truncate(read as usize);
        Ok(bytes)
    }

    pub fn write(&self, at: u64, bytes: &[u8]) -> Result<(), HubError> {
        let written = self.0.write_with_u8_array_and_options(bytes, &at_offset(at)).map_err(error)?;
        // A full disk shows as a short write in some browsers, and as an exception in others.
        if (written as usize) < bytes.len() {
            return Err(HubError::StorageFull { needed: bytes.len() as u64 });
        }
        Ok(())
    }

    pub fn flush(&self) -> Result<(), HubError> {
        self.0.flush().map_err(error)
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn at_offset(at: u64) -> FileSystemReadWriteOptions {
    let options = FileSystemReadWriteOptions::new();
    options.set_at(at as f64);
    options
}
