//! Files of the hub that belong together, as a folder: each is obtained when it is opened.

use crate::{Cancel, Hub, Progress, Store, obtain};
use std::cell::RefCell;
use std::io;
use tiller_formats::Folder;
use tiller_sites::ModelRef;

/// Files of one repository at one commit (see [`What::Folder`](crate::What::Folder)), from the cache or from the hub.
pub struct HubFolder<'a, S, P> {
    hub: &'a Hub,
    store: &'a S,
    files: &'a [ModelRef],
    cancel: &'a Cancel,
    on_progress: RefCell<P>,
}

impl<'a, S: Store, P: FnMut(&ModelRef, Progress)> HubFolder<'a, S, P> {
    /// `on_progress` is told which file is being obtained, and how far it is.
    pub fn new(hub: &'a Hub, store: &'a S, files: &'a [ModelRef], cancel: &'a Cancel, on_progress: P) -> Self {
        HubFolder { hub, store, files, cancel, on_progress: RefCell::new(on_progress) }
    }
}

impl<S: Store, P: FnMut(&ModelRef, Progress)> Folder for HubFolder<'_, S, P> {
    type File = S::File;

    /// What is not among the files is not asked for. The errors hold a [`HubError`](crate::HubError), and read as it
    /// does.
    async fn open(&self, name: &str) -> io::Result<Option<S::File>> {
        let Some(file) = self.files.iter().find(|file| file.file == name) else { return Ok(None) };
        let told = |progress| (self.on_progress.borrow_mut())(file, progress);
        obtain(self.hub, self.store, file, self.cancel, told).await.map(Some).map_err(io::Error::other)
    }
}
