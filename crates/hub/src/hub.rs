//! The hub's addresses.

use crate::HubError;
use tiller_sites::{AccessToken, ModelRef, PUBLIC_HUB};

/// A model hub: the public one, or a server that answers the same paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hub {
    base: String,
    token: Option<AccessToken>,
}

impl Hub {
    /// `base` has no path; an empty one means the public hub.
    pub fn new(base: impl Into<String>) -> Hub {
        let base = base.into();
        let base = base.trim_end_matches('/');
        Hub { base: if base.is_empty() { PUBLIC_HUB } else { base }.to_string(), token: None }
    }

    /// The same hub, asked in the name of whoever the token belongs to.
    pub fn with_token(self, token: Option<AccessToken>) -> Hub {
        Hub { token, ..self }
    }

    pub(crate) fn token(&self) -> Option<&AccessToken> {
        self.token.as_ref()
    }

    /// Where a file's bytes are. The reference has been validated, so its parts stand in a path as they are, except
    /// that a revision is one part of it (`refs/pr/1`).
    pub fn file_address(&self, file: &ModelRef) -> String {
        format!("{}/{}/resolve/{}/{}", self.base, file.repo, revision(&file.revision), file.file)
    }

    /// Where the files beside this one are listed, with their lengths and checksums.
    pub fn listing_address(&self, file: &ModelRef) -> String {
        let listing = self.tree_address(&file.repo, &file.revision);
        match file.file.rsplit_once('/') {
            Some((folder, _)) => format!("{listing}/{folder}"),
            None => listing,
        }
    }

    /// Where a repository says what it is, and which commit its revision names now.
    pub(crate) fn about_address(&self, repo: &str, name: &str) -> String {
        format!("{}/api/models/{repo}/revision/{}", self.base, revision(name))
    }

    /// Where all files of a repository are listed; the first page of it.
    pub(crate) fn tree_address(&self, repo: &str, name: &str) -> String {
        format!("{}/api/models/{repo}/tree/{}", self.base, revision(name))
    }

    /// A further page of a listing. The address comes from an answer, and a token goes where it leads: it must stay on
    /// this hub.
    pub(crate) fn page_address(&self, next: &str) -> Result<String, HubError> {
        let rest = next.strip_prefix(&self.base).unwrap_or(next);
        match rest.starts_with("/api/models/") {
            true => Ok(format!("{}{rest}", self.base)),
            false => Err(HubError::NoListing),
        }
    }
}

fn revision(name: &str) -> String {
    name.replace('/', "%2F")
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
        assert_eq!(Hub::new("").file_address(&file("b")), format!("{PUBLIC_HUB}/acme/tiny/resolve/refs%2Fpr%2F1/b"));
    }

    #[test]
    fn a_listing_goes_on_at_the_same_hub_only() {
        let hub = Hub::new("http://localhost:1");
        let next = "/api/models/a/b/tree/main?cursor=x";
        assert_eq!(hub.page_address(next).unwrap(), format!("http://localhost:1{next}"));
        assert_eq!(
            hub.page_address(&format!("http://localhost:1{next}")).unwrap(),
            format!("http://localhost:1{next}")
        );
        for elsewhere in ["http://evil/api/models/a", "http://localhost:12/api/models/", "//evil/api/models/"] {
            assert!(hub.page_address(elsewhere).is_err(), "{elsewhere}");
        }
    }
}
