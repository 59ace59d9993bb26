//! Everything that has to be there before something can be built, tried or tested; a file for each.

mod browser;
mod build_tools;
mod cpp;
mod model;
mod vulkan;
mod wasm_std;

pub use browser::{Browser, chromium};
pub use model::{fetch_if_missing, install_if_missing as model};

use crate::places::Places;
use anyhow::{Context, Result};
use std::time::Instant;

/// What is about to be done; each needs all that the one before it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    Build,
    Play,
    Test,
}

pub fn run(places: &Places, purpose: Purpose) -> Result<()> {
    let start = Instant::now();
    std::fs::create_dir_all(&places.cache)
        .with_context(|| format!("cannot make {}; set TILLER_CACHE to another folder", places.cache.display()))?;
    let mut installed = wasm_std::install_if_missing(places)?;
    installed |= build_tools::install_if_missing(places)?;
    if purpose >= Purpose::Play {
        installed |= model::install_if_missing(places)?;
    }
    if purpose >= Purpose::Test {
        installed |= browser::install_if_missing()?;
        installed |= vulkan::install_if_missing()?;
        installed |= cpp::install_if_missing()?;
    }
    let seconds = start.elapsed().as_secs_f32();
    if installed {
        say(&format!("complete after {seconds:.0} s"));
    } else {
        say(&format!("nothing is missing ({seconds:.1} s)"));
    }
    Ok(())
}

/// Before every step that takes more than a moment.
fn say(what: &str) {
    println!("set-up: {what}");
}
