//! Writing to stdout.

use anyhow::Context;
use serde::Serialize;
use std::io::Write;

/// Writes one JSON object and a line's end.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    text(&(serde_json::to_string(value)? + "\n"))
}

/// Writes text at once. Whoever reads may have gone: that is an error, where `print!` would panic.
pub fn text(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("the output could not be written")
}
