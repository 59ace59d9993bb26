//! Where this machine keeps the files of the hub.

use std::path::PathBuf;

/// `TILLER_HUB_CACHE`, or `hub` in `TILLER_CACHE`, or `~/.cache/tiller/hub`; `None` where there is no home folder either.
pub fn cache_folder() -> Option<PathBuf> {
    let folder = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("TILLER_HUB_CACHE")
        .or_else(|| Some(folder("TILLER_CACHE")?.join("hub")))
        .or_else(|| Some(std::env::home_dir()?.join(".cache/tiller/hub")))
}
