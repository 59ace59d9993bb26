//! Chromium and the driver through which the tests use it.

use super::say;
use crate::debian;
use crate::places::on_path;
use anyhow::{Result, bail};
use std::env;
use std::path::PathBuf;

pub struct Browser {
    pub chromium: PathBuf,
    pub chromedriver: PathBuf,
}

impl Browser {
    /// `TILLER_CHROMIUM` (or `CHROME`) and `TILLER_CHROMEDRIVER`, or what is installed.
    pub fn find() -> Option<Self> {
        let chromedriver = named_by("TILLER_CHROMEDRIVER").or_else(|| on_path("chromedriver"))?;
        Some(Self { chromium: chromium()?, chromedriver })
    }
}

/// The browser alone, without its driver.
pub fn chromium() -> Option<PathBuf> {
    const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    const ELSEWHERE: [&str; 3] = [
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
    ];
    named_by("TILLER_CHROMIUM")
        .or_else(|| named_by("CHROME"))
        .or_else(|| NAMES.iter().find_map(|name| on_path(name)))
        .or_else(|| ELSEWHERE.iter().map(PathBuf::from).find(|path| path.is_file()))
}

/// Whether anything had to be done.
pub fn install_if_missing() -> Result<bool> {
    if Browser::find().is_some() {
        return Ok(false);
    }
    say("Chromium and its driver: installing them, about 2 minutes, once");
    let what = "Chromium (or Chrome) with its chromedriver, or TILLER_CHROMIUM and TILLER_CHROMEDRIVER naming them,";
    debian::install(what, &["chromium", "chromium-driver"])?;
    if Browser::find().is_none() {
        bail!("Chromium was installed but is not on the PATH; set TILLER_CHROMIUM and TILLER_CHROMEDRIVER");
    }
    Ok(true)
}

fn named_by(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file())
}
