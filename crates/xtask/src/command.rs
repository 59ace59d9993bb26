//! Other programs, called as if from a fresh shell.
//!
//! This program runs under `cargo run`, which tells its children which cargo, which toolchain and which package they
//! belong to. Another cargo, or the same one for another target, must not hear that.

use anyhow::{Context, Result, bail};
use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A command without what `cargo run` has added to the environment. What people set for cargo themselves stays.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, value) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        if text.starts_with("CARGO_PKG_")
            || ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "RUSTUP_TOOLCHAIN", "RUST_RECURSION_COUNT"]
                .contains(&text)
        {
            command.env_remove(&name);
        }
        if ["LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"].contains(&text) {
            // Cargo adds its own libraries here, and another compiler would load them in place of its own.
            let kept: Vec<_> = env::split_paths(&value).filter(|folder| !is_cargos(folder)).collect();
            match env::join_paths(kept) {
                Ok(folders) if !folders.is_empty() => command.env(&name, folders),
                _ => command.env_remove(&name),
            };
        }
    }
    command
}

fn is_cargos(folder: &Path) -> bool {
    let text = folder.to_string_lossy();
    ["rustlib", "toolchains", "target"].iter().any(|part| text.contains(part))
}

/// Runs with this terminal; an error if it does not end well.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {}", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs in silence; what it had to say is in the error if it does not end well.
pub fn run_quietly(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", shown(command)))?;
    if !output.status.success() {
        bail!("`{}` failed ({})\n{}", shown(command), output.status, last_lines(&output, 30));
    }
    Ok(())
}

/// What it writes to stdout, or nothing if it cannot be run or does not end well.
pub fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether it ends well, and in time; it is stopped otherwise.
pub fn succeeds_within(command: &mut Command, limit: Duration) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = silent.spawn() else { return false };
    let end = Instant::now() + limit;
    while Instant::now() < end {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => thread::sleep(Duration::from_millis(100)),
            Err(_) => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// As one would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn last_lines(output: &Output, count: usize) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
