//! trunk, which puts the page together, and wasm-bindgen's programs, which must match the library to the last digit.

use super::say;
use crate::command::{answer, command, run};
use crate::places::Places;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// A newer one wants a newer compiler than the project does.
const TRUNK: &str = "0.21.14";

/// Whether anything had to be done.
pub fn install_if_missing(places: &Places) -> Result<bool> {
    let wasm_bindgen = locked_version(&places.root.join("Cargo.lock"), "wasm-bindgen")?;
    let mut installed = false;
    // Its own lock file names a version of a dependency that is not published, hence without.
    installed |= install(places, "wasm-bindgen-cli", "wasm-bindgen", &wasm_bindgen, false, "about 2 minutes")?;
    installed |= install(places, "trunk", "trunk", TRUNK, true, "about 4 minutes")?;
    Ok(installed)
}

fn install(places: &Places, package: &str, program: &str, version: &str, locked: bool, time: &str) -> Result<bool> {
    let path = places.tool(program);
    let there = answer(command(&path).arg("--version")).and_then(|text| text.split(' ').nth(1).map(str::to_owned));
    if there.as_deref() == Some(version) {
        return Ok(false);
    }
    say(&format!("{package} {version}: building it, {time}, once"));
    let build = places.tools().join("build");
    let mut cargo = command("cargo");
    cargo.args(["install", "--quiet", "--force", package, "--version", version, "--root"]).arg(places.tools());
    if locked {
        cargo.arg("--locked");
    }
    // Tools that run for a second need not be the fastest; as their authors build them they take three times as long.
    cargo.env("CARGO_TARGET_DIR", &build).env("CARGO_PROFILE_RELEASE_LTO", "off");
    cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    run(cargo.current_dir(&places.cache)).with_context(|| format!("{package} {version} could not be installed"))?;
    let _ = fs::remove_dir_all(build);
    Ok(true)
}

fn locked_version(lock: &Path, package: &str) -> Result<String> {
    let text = fs::read_to_string(lock).with_context(|| format!("cannot read {}", lock.display()))?;
    version_in(&text, package).with_context(|| format!("{package} is not in {}", lock.display()))
}

fn version_in(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
    let version = lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')?;
    Some(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_the_lock_file_and_no_similar_name_is_taken() {
        let lock =
            "[[package]]\nname = \"a-b\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"a\"\nversion = \"2.0.0\"\n";
        assert_eq!(version_in(lock, "a").as_deref(), Some("2.0.0"));
        assert_eq!(version_in(lock, "c"), None);
    }
}
