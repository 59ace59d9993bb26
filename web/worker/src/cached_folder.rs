//! A model, or a sparse autoencoder, of several files: fetched one after the other, as the reading of it asks for them.

use crate::cache::{Cache, is_absent};
use crate::failure::Stop;
use std::cell::{Cell, RefCell};
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
    cache: &'a Cache,
    hub: &'a Hub,
    cancel: &'a Cancel,
    /// The weights, or the list of them.
    model: &'a ModelRef,
    /// Whether what is not here is fetched.
    download: bool,
    on_progress: RefCell<P>,
    /// What ended the fetching: an `io::Error` cannot say whether the user did.
    stopped: RefCell<Option<HubError>>,
    /// A file would have had to be fetched, and may not.
    not_here: Cell<bool>,
    /// Asked for, and not in the repository.
    absent: RefCell<Vec<ModelRef>>,
    note: RefCell<Option<String>>,
}

impl<'a, P: FnMut(Progress)> CachedFolder<'a, P> {
    pub fn new(
        (cache, hub, cancel): (&'a Cache, &'a Hub, &'a Cancel),
        model: &'a ModelRef,
        download: bool,
        on_progress: P,
    ) -> CachedFolder<'a, P> {
        CachedFolder {
            cache,
            hub,
            cancel,
            model,
            download,
            on_progress: RefCell::new(on_progress),
            stopped: RefCell::default(),
            not_here: Cell::default(),
            absent: RefCell::default(),
            note: RefCell::default(),
        }
    }

    /// What `read`, made of this folder's files, has come to: why the files could not be had says more than that they
    /// could not be read. Of a whole model, also the files that it does without are remembered, so that the next time
    /// nothing has to be asked of the hub. The sentence is of where the files are kept, if that is worth one. `None`
    /// where something would have had to be fetched, and may not.
    pub async fn finish<T, E: Into<Stop>>(self, read: Result<T, E>) -> Result<Option<(T, Option<String>)>, Stop> {
        if self.not_here.get() {
            return Ok(None);
        }
        if let Some(stopped) = self.stopped.take() {
            return Err(stopped.into());
        }
        let files = read.map_err(Into::into)?;
        for file in self.absent.take() {
            self.cache.keep_as_absent(&file).await;
        }
        Ok(Some((files, self.note.take())))
    }
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
        if !self.download && !self.cache.has(&reference).await.unwrap_or(false) {
            self.not_here.set(true);
            return Err(io::Error::other("it is not here"));
        }
        // One file at a time is read.
        let Ok(mut on_progress) = self.on_progress.try_borrow_mut() else {
            return Err(io::Error::other("two files at once"));
        };
        match self.cache.obtain(self.hub, &reference, self.cancel, &mut *on_progress).await {
            Ok(obtained) if is_absent(&obtained.file) => Ok(None),
            Ok(obtained) => {
                if obtained.note.is_some() {
                    self.note.replace(obtained.note);
                }
                Ok(Some(obtained.file))
            }
            Err(HubError::NotFound { .. }) => {
                self.absent.borrow_mut().push(reference);
                Ok(None)
            }
            Err(stopped) => {
                let error = io::Error::other(stopped.to_string());
                self.stopped.replace(Some(stopped));
                Err(error)
            }
        }
    }
}
