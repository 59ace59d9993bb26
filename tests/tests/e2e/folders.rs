//! Where things are on this machine, and folders that are gone when a test ends.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The built page.
pub fn dist() -> Result<PathBuf> {
    let dist = from_environment("TILLER_DIST", || workspace().join("dist"));
    ensure!(
        dist.join("index.html").is_file(),
        "the page is not built: run `cargo xtask build` first, or set TILLER_DIST to where it lies (looked in {})",
        dist.display()
    );
    Ok(dist)
}

/// Where screenshots are kept after the run.
pub fn artefacts() -> Result<PathBuf> {
    let folder = from_environment("TILLER_ARTEFACTS", || workspace().join("target/artefacts"));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    Ok(folder)
}

pub fn program(variable: &str, usual: &str) -> Result<PathBuf> {
    let program = from_environment(variable, || PathBuf::from(usual));
    ensure!(
        program.is_file(),
        "{} is missing: install Chromium and its driver, or set {variable} to where it is",
        program.display()
    );
    Ok(program)
}

fn from_environment(variable: &str, otherwise: impl FnOnce() -> PathBuf) -> PathBuf {
    std::env::var_os(variable).map_or_else(otherwise, PathBuf::from)
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A fresh folder, removed when this is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(purpose: &str) -> Result<Scratch> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("tiller-e2e-{}-{number}-{purpose}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(Scratch(folder))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A browser that has just been ended may still hold a file; what stays is in the system's temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}
