//! `tiller bench`, the native program, on the model that set-up has cached.

use crate::command::{command, shown};
use crate::places::Places;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::process::{Command, ExitCode, Stdio};
use tiller_localhub::SMOLLM2_135M;

/// What `tiller bench --json` prints, as far as the table wants it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Native {
    pub backend: String,
    pub adapter: String,
    pub load_s: f64,
    pub prefill_tokens_per_s: f64,
    pub decode_tokens_per_s: f64,
    pub decode_steered_ratio: f64,
    pub passes_per_token: u64,
    pub submits_per_token: u64,
    pub dispatches_per_token: u64,
    pub readback_bytes_per_token: u64,
    pub bytes_moved_per_token: u64,
    pub peak_host_bytes: u64,
    pub peak_gpu_bytes: u64,
}

pub const BACKENDS: [&str; 2] = ["gpu", "cpu"];

pub fn measure(places: &Places, backend: &str) -> Result<Native> {
    let mut bench = program(places, &["--backend".into(), backend.into(), "--json".into()]);
    let output = bench.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    ensure!(output.status.success(), "`{}` failed ({})", shown(&bench), output.status);
    serde_json::from_slice(&output.stdout).context("`tiller bench --json` printed something else")
}

/// With flags of its own, and this terminal.
pub fn run(places: &Places, flags: &[String]) -> Result<ExitCode> {
    let status = program(places, flags).status().context("cannot run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn program(places: &Places, flags: &[String]) -> Command {
    let mut cargo = command("cargo");
    cargo.args(["run", "--release", "--quiet", "--package", "tiller", "--", "bench"]).current_dir(&places.root);
    if !flags.iter().any(|flag| flag == "--model") {
        cargo.arg("--model").arg(SMOLLM2_135M.path_in(&places.hub()));
    }
    cargo.args(flags);
    cargo
}
