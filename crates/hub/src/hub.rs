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

    /// Where a file's bytes are. The reference has been validated, so its parts stand in a path as they are, except
    /// that a revision is one part of it (`refs/pr/1`).
    pub fn file_address(&self, file: &ModelRef) -> String {
        format!("{}/{}/resolve/{}/{}", self.base, file.repo, revision(file), file.file)
    }

    /// Where the files beside this one are listed, with their lengths and checksums.
    pub fn listing_address(&self, file: &ModelRef) -> String {
        let listing = format!("{}/api/models/{}/tree/{}", self.base, file.repo, revision(file));
        match file.file.rsplit_once('/') {
            Some((folder, _)) => format!("{listing}/{folder}"),
            None => listing,
        }
    }
}

fn revision(file: &ModelRef) -> String {
    file.revision.replace('/', "%2F")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_one_part_of_an_address() {
        let file = |file: &str| ModelRef {
            repo: "acme/tiny".into(),
            revision: "refs/pr/1".into(),
            file: file.into(),
            bytes: None,
            sha256: None,
        };
        let hub = Hub::new("http://localhost:1/");
        assert_eq!(hub.file_address(&file("a/b.gguf")), "http://localhost:1/acme/tiny/resolve/refs%2Fpr%2F1/a/b.gguf");
        let listing = "http://localhost:1/api/models/acme/tiny/tree/refs%2Fpr%2F1";
        assert_eq!(hub.listing_address(&file("b.gguf")), listing);
        assert_eq!(hub.listing_address(&file("a/b.gguf")), format!("{listing}/a"));
        assert_eq!(Hub::new("").file_address(&file("b")), format!("{REAL_HUB}/acme/tiny/resolve/refs%2Fpr%2F1/b"));
    }
}
