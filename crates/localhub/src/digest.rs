//! Checksums of the cache's files: what the hub calls a file's identity, and what a download is checked against.
//!
//! A model takes a good part of a second to hash, so a sum is kept in a hidden file beside it, together with the size
//! and time of change that it was true for.

use anyhow::{Context, Result};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};
use std::time::UNIX_EPOCH;

/// SHA-256 of a file in lower-case hexadecimal, computed once for each version of the file.
pub fn sha256_of_file(path: &Path) -> Result<String> {
    // Also where the folder cannot be written to. Held while hashing, so that two requests do not hash one file twice.
    static KNOWN: LazyLock<Mutex<HashMap<PathBuf, (String, String)>>> = LazyLock::new(Mutex::default);

    let version = version_of(path).with_context(|| format!("cannot look at {}", path.display()))?;
    let mut known = KNOWN.lock().unwrap();
    if let Some((at, sum)) = known.get(path)
        && *at == version
    {
        return Ok(sum.clone());
    }
    let beside = note_beside(path);
    let sum = match read_note(&beside, &version) {
        Some(sum) => sum,
        None => {
            let sum = hash(path).with_context(|| format!("cannot read {}", path.display()))?;
            // A cache that cannot be written to still works; it is only slower after a restart.
            let _ = fs::write(&beside, format!("{sum} {version}\n"));
            sum
        }
    };
    known.insert(path.to_owned(), (version, sum.clone()));
    Ok(sum)
}

/// The name git knows a file's content by, which the hub uses as the ETag of files small enough to live in git.
pub fn git_blob_id(content: &[u8]) -> String {
    let mut sha = Sha1::new();
    sha.update(format!("blob {}\0", content.len()));
    sha.update(content);
    hex(&sha.finalize())
}

fn hash(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut sha = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&sha.finalize())),
            n => sha.update(&buffer[..n]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn note_beside(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{}.sha256", path.file_name().unwrap_or_default().to_string_lossy()))
}

fn read_note(note: &Path, version: &str) -> Option<String> {
    let text = fs::read_to_string(note).ok()?;
    let (sum, noted) = text.trim_end().split_once(' ')?;
    (sum.len() == 64 && noted == version).then(|| sum.to_owned())
}

fn version_of(path: &Path) -> Result<String> {
    let about = fs::metadata(path)?;
    let changed = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(format!("{} {}", about.len(), changed.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_names_the_empty_blob_so() {
        assert_eq!(git_blob_id(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    }

    #[test]
    fn a_sum_is_kept_beside_the_file_until_the_file_changes() {
        let folder = std::env::temp_dir().join(format!("tiller-digest-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.bin");
        fs::write(&path, b"abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of_file(&path).unwrap(), abc);
        assert!(fs::read_to_string(folder.join(".a.bin.sha256")).unwrap().starts_with(abc));
        fs::write(&path, b"abcd").unwrap();
        assert_ne!(sha256_of_file(&path).unwrap(), abc);
        fs::remove_dir_all(&folder).unwrap();
    }
}
