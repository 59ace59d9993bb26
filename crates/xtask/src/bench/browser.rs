//! Headless Chromium with a profile that knows nothing of earlier visits.

use super::processes::Family;
use crate::command::command;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// A browser that shows one page. Dropping it ends it and removes its profile.
pub struct Browser {
    process: Child,
    profile: PathBuf,
    pub family: Family,
}

impl Browser {
    /// `profile`: a folder of its own, emptied before. `flags`: those that choose the GPU.
    pub fn open(chromium: &Path, profile: PathBuf, flags: &[String], address: &str) -> Result<Self> {
        let _ = fs::remove_dir_all(&profile);
        fs::create_dir_all(&profile).with_context(|| format!("cannot make {}", profile.display()))?;
        let mut browser = command(chromium);
        browser.args([
            "--headless=new",
            "--no-sandbox",
            "--enable-unsafe-webgpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            // No engine may fetch a part of itself from elsewhere: another run would measure something else.
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
            "--window-size=1280,900",
        ]);
        browser.args(flags).arg(format!("--user-data-dir={}", profile.display())).arg(address);
        let process = browser
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", chromium.display()))?;
        let family = Family::of(process.id());
        Ok(Self { process, profile, family })
    }

    pub fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its children end when they lose the line to it.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}
