//! A GPU for the tests: any Vulkan driver, or else one in software.

use super::say;
use crate::command::{answer, command};
use crate::debian;
use anyhow::Result;
use std::env;
use std::fs;
use std::path::PathBuf;

/// Whether anything had to be done. Other systems have drivers of their own kind.
pub fn install_if_missing() -> Result<bool> {
    if !cfg!(target_os = "linux") || (has_loader() && has_driver()) {
        return Ok(false);
    }
    say("a software Vulkan driver: installing it, about 1 minute, once");
    debian::install("a Vulkan driver", &["mesa-vulkan-drivers", "libvulkan1"])?;
    Ok(true)
}

fn has_loader() -> bool {
    ["ldconfig", "/sbin/ldconfig"]
        .iter()
        .any(|ldconfig| answer(command(ldconfig).arg("-p")).is_some_and(|list| list.contains("libvulkan.so.1")))
}

/// Drivers announce themselves by a file in one of these folders, or by an environment variable.
fn has_driver() -> bool {
    if ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().any(|name| env::var_os(name).is_some()) {
        return true;
    }
    let own = env::home_dir().map(|home| home.join(".local/share"));
    let folders =
        ["/etc", "/usr/local/etc", "/usr/share", "/usr/local/share"].map(PathBuf::from).into_iter().chain(own);
    folders
        .map(|folder| folder.join("vulkan/icd.d"))
        .any(|folder| fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some()))
}
