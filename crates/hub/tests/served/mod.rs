//! A real server over TCP with one file on it.
#![allow(dead_code)]

use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;
use tiller_formats::ByteSource;
use tiller_hub::{Cancel, DiskStore, Hub, HubError, Progress, obtain};
use tiller_localhub::{Config, Server, serve, sha256_of_file};
use tiller_sites::ModelRef;

pub const REPO: &str = "acme/tiny";
pub const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";
pub const FILE: &str = "tiny.gguf";
/// Short enough to come in one piece.
pub const BYTES: usize = 4_000_000;

/// A hub with one file, and a cache of one's own.
pub struct Fixture {
    pub server: Server,
    pub cache: DiskStore,
    pub served: PathBuf,
    pub content: Vec<u8>,
    _folder: TempDir,
}

impl Fixture {
    pub fn new() -> Fixture {
        Fixture::of(BYTES)
    }

    pub fn of(bytes: usize) -> Fixture {
        let folder = TempDir::new().unwrap();
        let served = folder.path().join("hub").join(REPO).join(REVISION).join(FILE);
        fs::create_dir_all(served.parent().unwrap()).unwrap();
        let content: Vec<u8> = (0..bytes).map(|i| (i * 7 + i / 251) as u8).collect();
        fs::write(&served, &content).unwrap();
        let server = serve(Config::new(folder.path().join("hub"))).unwrap();
        let cache = DiskStore::new(folder.path().join("cache"));
        Fixture { server, cache, served, content, _folder: folder }
    }

    pub fn file(&self) -> ModelRef {
        ModelRef {
            repo: REPO.into(),
            revision: REVISION.into(),
            file: FILE.into(),
            bytes: Some(self.content.len() as u64),
            sha256: Some(sha256_of_file(&self.served).unwrap()),
        }
    }

    pub fn obtain(&self, file: &ModelRef) -> (Result<Vec<u8>, HubError>, Vec<Progress>) {
        self.obtain_until(file, &Cancel::new(), |_| {})
    }

    pub fn obtain_until(
        &self,
        file: &ModelRef,
        cancel: &Cancel,
        seen: impl FnMut(Progress),
    ) -> (Result<Vec<u8>, HubError>, Vec<Progress>) {
        self.obtain_from(&Hub::new(self.server.origin()), file, cancel, seen)
    }

    pub fn obtain_from(
        &self,
        hub: &Hub,
        file: &ModelRef,
        cancel: &Cancel,
        mut seen: impl FnMut(Progress),
    ) -> (Result<Vec<u8>, HubError>, Vec<Progress>) {
        let mut progress = Vec::new();
        let found = pollster::block_on(async {
            let source = obtain(hub, &self.cache, file, cancel, |p| {
                progress.push(p);
                seen(p);
            })
            .await?;
            Ok(source.read_at(0, source.len() as usize).await.unwrap())
        });
        (found, progress)
    }

    /// The ranges of the file's requests so far.
    pub fn ranges(&self) -> Vec<Option<String>> {
        let of_the_file = |entry: &tiller_localhub::Logged| entry.path.contains("/cdn/");
        self.server.log().entries().into_iter().filter(of_the_file).map(|entry| entry.range).collect()
    }

    pub fn kept(&self) -> bool {
        let path = self.cache.path(&self.file());
        path.exists() || path.with_extension("gguf.part").exists()
    }
}
