//! `tiller bench`, on the model that set-up has cached.

use crate::command::command;
use crate::places::Places;
use crate::setup;
use anyhow::{Context, Result};
use std::process::ExitCode;
use tiller_localhub::SMOLLM2_135M;

#[derive(clap::Args)]
pub struct Options {
    /// Flags of `tiller bench`, such as `--backend cpu --json`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    flags: Vec<String>,
}

pub fn run(places: &Places, options: &Options) -> Result<ExitCode> {
    setup::model(places)?;
    let mut cargo = command("cargo");
    cargo.args(["run", "--release", "--quiet", "--package", "tiller", "--", "bench"]).current_dir(&places.root);
    if !options.flags.iter().any(|flag| flag == "--model") {
        cargo.arg("--model").arg(SMOLLM2_135M.path_in(&places.hub()));
    }
    let status = cargo.args(&options.flags).status().context("cannot run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
