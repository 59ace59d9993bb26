//! How this machine's GPUs compute best, kept beside the hub's files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tiller_experiment::{Session, Tuned, tune};
use tiller_hub::cache_folder;

const FILE: &str = "gpu-tiers.json";

/// A machine has few devices, and a device few models; a longer file is no work of this program.
const MOST_BYTES: u64 = 1 << 20;

/// Has the session's GPU compute in the way that was found best on its first use, which this may be. Where nothing can
/// be kept, it is found again each time.
pub async fn apply(session: &Session) {
    let file = cache_folder().map(|folder| folder.join(FILE));
    let mut kept = file.as_deref().map(read).unwrap_or_default();
    let clock = Instant::now();
    let Some(Tuned { device, tiers }) = tune(session, &kept, || clock.elapsed().as_secs_f64()).await else { return };
    kept.insert(device, tiers);
    if let Some(file) = file {
        write(&file, &kept);
    }
}

/// By device; nothing where the file is damaged or there is none.
fn read(file: &Path) -> BTreeMap<String, String> {
    let short = fs::metadata(file).is_ok_and(|facts| facts.len() <= MOST_BYTES);
    let text = if short { fs::read(file).unwrap_or_default() } else { Vec::new() };
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Whole or not at all: two programs may write at once. A folder that cannot be written to keeps nothing.
fn write(file: &Path, kept: &BTreeMap<String, String>) {
    let Ok(text) = serde_json::to_string_pretty(kept) else { return };
    let unfinished: PathBuf = file.with_extension(format!("{}.part", std::process::id()));
    let folder = file.parent().is_some_and(|folder| fs::create_dir_all(folder).is_ok());
    if !folder || fs::write(&unfinished, text).is_err() || fs::rename(&unfinished, file).is_err() {
        let _ = fs::remove_file(unfinished);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_a_damaged_file_is_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("not yet").join(FILE);
        assert!(read(&file).is_empty());
        let kept = BTreeMap::from([("a \"device\"".to_owned(), "spread subgroup".to_owned())]);
        write(&file, &kept);
        assert_eq!(read(&file), kept);
        for damaged in [&b"{"[..], b"[1]", b"{\"a\": 1}", b"\xff\xff"] {
            fs::write(&file, damaged).unwrap();
            assert!(read(&file).is_empty());
        }
        fs::write(&file, vec![b' '; MOST_BYTES as usize + 1]).unwrap();
        assert!(read(&file).is_empty());
        write(&file, &kept);
        assert_eq!(read(&file), kept);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }
}
