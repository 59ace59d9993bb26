//! What can go wrong between the hub and the cache.

use crate::answer::Heading;
use tiller_sites::{InvalidModelRef, ModelRef};

/// Every message says what happened and what to do.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error(transparent)]
    Reference(#[from] InvalidModelRef),
    #[error("the file name {0} is one that the cache keeps for its own notes: choose another file")]
    Reserved(String),
    #[error(
        "the hub has no repository {repo} that everybody may see: check its name, or, if it is private, give an access \
         token"
    )]
    NoRepository { repo: String },
    #[error("the repository {repo} has no revision {revision}: check it, or take main")]
    NoRevision { repo: String, revision: String },
    #[error("the hub has no file {file} in {repo} at revision {revision}: check the three names")]
    NotFound { repo: String, revision: String, file: String },
    #[error(
        "the repository {repo} is only open to those who accepted its terms: accept them on its page on the hub, then \
         give an access token of your account there"
    )]
    Gated { repo: String },
    #[error(
        "the hub does not let the given access token read {repo}: accept the terms on its page with the same account, or \
         give another token"
    )]
    TokenRefused { repo: String },
    #[error("the hub asks to be left alone for {}: try again then; what was received is kept", span(*.wait_s))]
    TooManyRequests { wait_s: Option<u64> },
    #[error("the hub answered with status {status}: try again later")]
    Status { status: u16, wait_s: Option<u64> },
    #[error("this machine is offline: connect it, and this goes on by itself; what was received is kept")]
    Offline,
    #[error("the hub could not be reached ({reason}): check the connection, then try again; what was received is kept")]
    Unreachable { reason: String },
    #[error(
        "the hub is there, but gave an answer that this page may not read: it may be asked too often just now, so try \
         again in a few minutes; if that does not help, choose another hub, or allow this page's origin on it (CORS)"
    )]
    Blocked,
    #[error("the hub's answer is no list of files: try again later, or check the hub's address")]
    NoListing,
    #[error("the connection broke {tries} times, last after {received} bytes: try again; what was received is kept")]
    Broken { tries: u32, received: u64 },
    #[error(
        "the bytes received are not the file that was asked for (its checksum is {found}, expected {expected}): nothing \
         was kept; try again, or ask where the link is from"
    )]
    WrongBytes { expected: String, found: String },
    #[error("the hub sent {found} bytes where {expected} were promised: nothing was kept; try again")]
    WrongLength { expected: u64, found: u64 },
    #[error(
        "the link does not mean the file {file} of this revision, which is here and was checked: ask where the link is \
         from"
    )]
    OtherFile { file: String },
    #[error(
        "there is not enough storage ({needed} more bytes are needed): delete a model that is not used any more, or \
         free disk space"
    )]
    StorageFull { needed: u64 },
    #[error("this file is being downloaded elsewhere, perhaps in another tab: wait for it there, or stop it there")]
    InUse,
    #[error("the cache could not be used ({0}): delete the file from the cache, then try again")]
    Storage(String),
    #[error("stopped")]
    Cancelled,
}

impl HubError {
    /// What an answer that is not the wanted one says of `file`. `with_token`: whether the request carried one.
    pub(crate) fn refusal(heading: &Heading, file: &ModelRef, with_token: bool) -> HubError {
        let ModelRef { repo, revision, file, .. } = file.clone();
        let wait_s = heading.retry_after_s;
        match (heading.status, heading.error_code.as_deref()) {
            // The public hub answers 401, not 404, for what may be private.
            (401 | 404, Some("RepoNotFound")) => HubError::NoRepository { repo },
            (404, Some("RevisionNotFound")) => HubError::NoRevision { repo, revision },
            (401 | 403, _) if with_token => HubError::TokenRefused { repo },
            (401 | 403, _) => HubError::Gated { repo },
            (404, _) => HubError::NotFound { repo, revision, file },
            (429, _) => HubError::TooManyRequests { wait_s },
            (status, _) => HubError::Status { status, wait_s },
        }
    }

    /// Whether the same request may succeed a little later.
    pub fn worth_retrying(&self) -> bool {
        self.may_pass()
            || matches!(
                self,
                HubError::Status { .. }
                    | HubError::NoListing
                    | HubError::WrongBytes { .. }
                    | HubError::WrongLength { .. }
                    | HubError::StorageFull { .. }
                    | HubError::InUse
            )
    }

    /// Whether an access token, or another one, may help.
    pub fn wants_token(&self) -> bool {
        matches!(self, HubError::Gated { .. } | HubError::TokenRefused { .. } | HubError::NoRepository { .. })
    }

    /// Whether the place for files is at fault, and another might serve.
    pub fn is_of_the_store(&self) -> bool {
        matches!(self, HubError::StorageFull { .. } | HubError::Storage(_))
    }

    /// Whether a transfer tries again by itself: what networks and busy servers do now and then.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            HubError::Status { status, .. } => *status >= 500,
            HubError::TooManyRequests { .. } => true,
            HubError::Offline | HubError::Unreachable { .. } | HubError::Broken { .. } => true,
            // A line that comes back between two requests looks the same.
            HubError::Blocked => true,
            _ => false,
        }
    }

    /// How long the server asked to wait, in seconds.
    pub(crate) fn asked_to_wait(&self) -> Option<u64> {
        match self {
            HubError::TooManyRequests { wait_s } | HubError::Status { wait_s, .. } => *wait_s,
            _ => None,
        }
    }
}

fn span(seconds: Option<u64>) -> String {
    match seconds {
        None => "a few minutes".into(),
        Some(seconds @ 0..120) => format!("{seconds} seconds"),
        Some(seconds) => format!("{} minutes", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_whether_a_name_a_token_or_time_is_missing() {
        let file = ModelRef {
            repo: "acme/tiny".into(),
            revision: "main".into(),
            file: "m.gguf".into(),
            bytes: None,
            sha256: None,
        };
        let of = |status, code: Option<&str>, with_token| {
            let heading =
                Heading { status, error_code: code.map(String::from), retry_after_s: Some(300), ..Heading::default() };
            HubError::refusal(&heading, &file, with_token)
        };
        assert!(matches!(of(401, Some("RepoNotFound"), false), HubError::NoRepository { .. }));
        assert!(matches!(of(404, Some("RepoNotFound"), true), HubError::NoRepository { .. }));
        assert!(matches!(of(404, Some("RevisionNotFound"), false), HubError::NoRevision { .. }));
        assert!(matches!(of(404, Some("EntryNotFound"), false), HubError::NotFound { .. }));
        assert!(matches!(of(401, Some("GatedRepo"), false), HubError::Gated { .. }));
        assert!(matches!(of(403, Some("GatedRepo"), true), HubError::TokenRefused { .. }));
        assert!(matches!(of(401, None, true), HubError::TokenRefused { .. }));
        assert!(of(429, None, false).to_string().contains("for 5 minutes"));
        assert!(of(503, None, false).may_pass() && !of(418, None, false).may_pass());
    }
}
