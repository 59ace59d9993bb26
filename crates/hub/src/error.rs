//! What can go wrong between the hub and the cache.

use tiller_sites::InvalidModelRef;

/// Every message says what happened and what to do.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error(transparent)]
    Reference(#[from] InvalidModelRef),
    #[error("the hub has no file {file} in {repo} at revision {revision}: check the three names")]
    NotFound { repo: String, revision: String, file: String },
    #[error("{repo} may only be read by those who were given access: choose an open model")]
    Refused { repo: String },
    #[error("the hub asks to wait before asking again: try again in a few minutes")]
    TooManyRequests,
    #[error("the hub answered with status {status}: try again later")]
    Status { status: u16 },
    #[error("the hub could not be reached ({reason}): check the connection, then try again; what was received is kept")]
    Unreachable { reason: String },
    #[error("the connection broke {tries} times, last after {received} bytes: try again; what was received is kept")]
    Broken { tries: u32, received: u64 },
    #[error("the bytes received are not the file that was asked for (its checksum is {found}, expected {expected}): nothing was kept; try again, or ask where the link is from")]
    WrongBytes { expected: String, found: String },
    #[error("the hub sent {found} bytes where {expected} were promised: nothing was kept; try again")]
    WrongLength { expected: u64, found: u64 },
    #[error("the browser's storage is full ({needed} bytes are needed): delete a model under Models, or free disk space")]
    StorageFull { needed: u64 },
    #[error("this file is being downloaded in another tab: wait for it there, or close that tab")]
    InUse,
    #[error("the cache could not be used ({0}): delete the file under Models, then try again")]
    Storage(String),
    #[error("stopped")]
    Cancelled,
}

impl HubError {
    /// Whether the same request may succeed a little later.
    pub fn worth_retrying(&self) -> bool {
        matches!(
            self,
            HubError::TooManyRequests
                | HubError::Status { .. }
                | HubError::Unreachable { .. }
                | HubError::Broken { .. }
                | HubError::WrongBytes { .. }
                | HubError::WrongLength { .. }
                | HubError::StorageFull { .. }
                | HubError::InUse
        )
    }
}
