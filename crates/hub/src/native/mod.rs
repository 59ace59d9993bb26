//! Disk and a blocking HTTP client.

mod cache_folder;
mod disk;
pub(crate) mod http;

pub use cache_folder::cache_folder;
pub use disk::DiskStore;
