//! Disk and a blocking HTTP client.

mod disk;
pub(crate) mod http;

pub use disk::DiskStore;
