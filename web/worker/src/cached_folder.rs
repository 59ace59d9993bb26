//! A model of several files: fetched one after the other, as the reading of it asks for them.

use crate::cache::Cache;
use std::cell::RefCell;
use std::io;
use tiller_formats::Folder;
use tiller_hub::{BlobSource, Cancel, Hub, HubError, Progress};
use tiller_protocol::ModelRef;

/// Weights of more bytes than this are rounded to eight bits as they are loaded.
const MOST_AS_THEY_ARE: u64 = 600_000_000;

/// Whether a reference names the weights of a folder, or its list of them, rather than a file that is a whole model.
pub fn is_of_folder(model: &ModelRef) -> bool {
    model.file.ends_with(".safetensors") || model.file.ends_with(".safetensors.index.json")
}

/// Whether the weights are rounded to eight bits on loading. What has a list of its files is larger than one file may be.
pub fn is_quantised(model: &ModelRef, bytes: Option<u64>) -> bool {
    model.file.ends_with(".index.json") || bytes.is_some_and(|bytes| bytes > MOST_AS_THEY_ARE)
}

/// The files beside a model's weights in its repository.
pub struct CachedFolder<'a, P> {
    pub cache: &'a Cache,
    pub hub: &'a Hub,
    pub cancel: &'a Cancel,
    /// The weights, or the list of them.
    pub model: &'a ModelRef,
    pub on_progress: RefCell<P>,
    /// What ended the fetching: an `io::Error` cannot say whether the user did.
    pub stopped: RefCell<Option<HubError>>,
    pub note: RefCell<Option<String>>,
}

impl<P: FnMut(Progress)> Folder for CachedFolder<'_, P> {
    type File = BlobSource;

    async fn open(&self, name: &str) -> io::Result<Option<BlobSource>> {
        // The files lie beside the one that the reference names.
        let file = match self.model.file.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{name}"),
            None => name.to_string(),
        };
        let reference = match file == self.model.file {
            true => self.model.clone(),
            false => ModelRef { file, bytes: None, sha256: None, ..self.model.clone() },
        };
        // One file at a time is read.
        let Ok(mut on_progress) = self.on_progress.try_borrow_mut() else {
            return Err(io::Error::other("two files at once"));
        };
        match self.cache.obtain(self.hub, &reference, self.cancel, &mut *on_progress).await {
            Ok(obtained) => {
                if obtained.note.is_some() {
                    self.note.replace(obtained.note);
                }
                Ok(Some(obtained.file))
            }
            Err(HubError::NotFound { .. }) => Ok(None),
            Err(stopped) => {
                let error = io::Error::other(stopped.to_string());
                self.stopped.replace(Some(stopped));
                Err(error)
            }
        }
    }
}
