//! What can go wrong between the hub and the cache.

use tiller_sites::InvalidModelRef;

/// Every message says what happened and what to do.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error(transparent)]
    Reference(#[from] InvalidModelRef),
    #[error("the file name {0} is one that the cache keeps for its own notes: choose another file")]
    Reserved(String),
    #[error("the hub has no file {file} in {repo} at revision {revision}: check the three names")]
    NotFound { repo: String, revision: String, file: String },
    #[error(
        "{repo} may only be read by those who were given access, or does not exist: check its name, or choose an open \
         model"
    )]
    Refused { repo: String },
    #[error("the hub asks to wait before asking again: try again in a few minutes")]
    TooManyRequests,
    #[error("the hub answered with status {status}: try again later")]
    Status { status: u16 },
    #[error("this machine is offline: connect it, then try again; what was received is kept")]
    Offline,
    #[error("the hub could not be reached ({reason}): check the connection, then try again; what was received is kept")]
    Unreachable { reason: String },
    #[error(
        "the hub is there, but does not let this page read its answers: choose another hub, or allow this page's origin \
         on it (CORS)"
    )]
    Blocked,
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
    /// Whether the same request may succeed a little later.
    pub fn worth_retrying(&self) -> bool {
        self.may_pass()
            || matches!(
                self,
                HubError::TooManyRequests
                    | HubError::Status { .. }
                    | HubError::WrongBytes { .. }
                    | HubError::WrongLength { .. }
                    | HubError::StorageFull { .. }
                    | HubError::InUse
            )
    }

    /// Whether a transfer tries again by itself: what networks and busy servers do now and then.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            HubError::Status { status } => *status >= 500,
            HubError::Offline | HubError::Unreachable { .. } | HubError::Broken { .. } => true,
            // A line that comes back between two requests looks the same.
            HubError::Blocked => true,
            _ => false,
        }
    }
}
