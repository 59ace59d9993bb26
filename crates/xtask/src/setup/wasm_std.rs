//! Rust's standard library for the browser.
//!
//! The usual way is rustup's. Where its server cannot be reached, Debian's packages have the same compiler with the
//! library's source, from which it is built and put where the compiler looks for it.

use super::say;
use crate::command::{answer, command, run, run_quietly, succeeds_within};
use crate::debian;
use crate::places::{Places, on_path};
use crate::wasm_toolchain::{DISTRIBUTION, TARGET, WasmToolchain, rustup_manages_the_usual};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PACKAGES: [&str; 5] = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "lld-22"];

/// Whether anything had to be done.
pub fn install_if_missing(places: &Places) -> Result<bool> {
    if WasmToolchain::find().is_some() {
        return Ok(false);
    }
    if rustup_manages_the_usual() {
        say("the standard library for wasm32: asking rustup for it, about 20 s, once");
        if add_with_rustup() && WasmToolchain::find().is_some() {
            return Ok(true);
        }
    }
    if !debian::can_install() {
        bail!(
            "Rust's standard library for {TARGET} is missing: run `rustup target add {TARGET}` where rustup's server \
             can be reached (or, on Debian, run this as root), then run this again"
        );
    }
    say("rustup cannot supply it: building it from Debian's packages, about 3 minutes, once");
    debian::install("the compiler that can build for wasm32", &PACKAGES)?;
    build_from_source(&places.cache.join("wasm-std"))?;
    if on_path("rustup").is_some() {
        run_quietly(command("rustup").args(["toolchain", "link", DISTRIBUTION, "/usr"]))?;
    }
    match WasmToolchain::find() {
        Some(_) => Ok(true),
        None => bail!("the standard library for {TARGET} was built, but the compiler in /usr does not find it"),
    }
}

/// Where there is another way, a server that keeps silent is not waited for long.
fn add_with_rustup() -> bool {
    let limit = if debian::can_install() { Duration::from_secs(60) } else { Duration::from_secs(600) };
    succeeds_within(command("rustup").args(["target", "add", TARGET]), limit)
}

fn build_from_source(scratch: &Path) -> Result<()> {
    // A second generation of libraries beside the first would be ambiguous, so both folders start empty.
    let _ = fs::remove_dir_all(scratch);
    fs::create_dir_all(scratch.join("src"))?;
    fs::write(scratch.join("Cargo.toml"), "[package]\nname = \"scratch\"\nedition = \"2021\"\n[lib]\n[workspace]\n")?;
    fs::write(scratch.join("src/lib.rs"), "")?;
    run(command("/usr/bin/cargo")
        .args(["build", "--release", "--quiet", "-Zbuild-std=std,panic_abort,test", "--target", TARGET])
        .current_dir(scratch)
        .env("CARGO_TARGET_DIR", scratch.join("target"))
        .env("RUSTC", "/usr/bin/rustc")
        // The library's source may use what the language has not settled; with bitcode, it can be inlined later.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Cembed-bitcode=yes"))
    .context("the standard library for wasm32 did not build")?;

    let sysroot =
        answer(command("/usr/bin/rustc").args(["--print", "sysroot"])).context("/usr/bin/rustc does not run")?;
    let libraries = Path::new(&sysroot).join("lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&libraries)?;
    for old in rlibs(&libraries)? {
        fs::remove_file(old)?;
    }
    for built in rlibs(&scratch.join("target").join(TARGET).join("release/deps"))? {
        let name = built.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with("libscratch") {
            fs::copy(&built, libraries.join(name))?;
        }
    }
    fs::remove_dir_all(scratch)?;
    Ok(())
}

fn rlibs(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for child in fs::read_dir(folder)? {
        let path = child?.path();
        if path.extension().is_some_and(|kind| kind == "rlib") {
            found.push(path);
        }
    }
    Ok(found)
}
