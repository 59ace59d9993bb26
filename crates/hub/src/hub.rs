//! The hub's addresses.

use tiller_sites::ModelRef;

/// The public hub.
pub const REAL_HUB: &str = "https://huggingface.co";

/// A model hub: the public one, or a server that answers the same paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hub {
    base: String,
}

impl Hub {
    /// `base` has no path; an empty one means the public hub.
    pub fn new(base: impl Into<String>) -> Hub {
        let base = base.into();
        let base = base.trim_end_matches('/');
        Hub { base: if base.is_empty() { REAL_HUB } else { base }.to_string() }
    }

    /// Where a file's bytes are. The reference has been validated, so its parts stand in a path as they are.
    pub fn file_address(&self, file: &ModelRef) -> String {
        format!("{}/{}/resolve/{}/{}", self.base, file.repo, file.revision, file.file)
    }
}
