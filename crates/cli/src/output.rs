//! Writing to stdout.

use anyhow::Context;
use serde::Serialize;
use std::io::Write;
use tiller_recipe::Finding;

/// Writes one JSON object and a line's end.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    text(&(serde_json::to_string(value)? + "\n"))
}

/// Writes text at once. Whoever reads may have gone: that is an error, where `print!` would panic.
pub fn text(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("the output could not be written")
}

/// What an experiment showed, as the end of its text; nothing where that was not asked.
pub fn finding(finding: &Option<Finding>) -> String {
    let Some(Finding { holds, sentence, .. }) = finding else { return String::new() };
    let verdict = match holds {
        Some(true) => "It stands out from its control: ",
        Some(false) => "It does not stand out from its control: ",
        None => "",
    };
    format!("\n{verdict}{sentence}\n")
}
