//! The project's own commands: `cargo xtask play`, `cargo xtask test`, and the steps they are made of.
//!
//! Each command installs what it needs and is missing, says so before it does, and is quick when nothing is.
//! What it installs is kept in one folder ([`places::Places`]), apart from the system's own packages.

mod bench;
mod bundle;
mod command;
mod debian;
mod fuzz;
mod open;
mod page;
mod places;
mod play;
mod setup;
mod tally;
mod tests;
mod wasm_toolchain;

use anyhow::Result;
use clap::{Parser, Subcommand};
use places::Places;
use setup::Purpose;
use std::process::ExitCode;

/// Set up, try, test and build Tiller.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set up, build the page, serve it with the model on this machine, and open it.
    Play(play::Options),
    /// Set up, and run every test: native, in a browser, end to end.
    Test(tests::Options),
    /// Install whatever is missing, for playing and for testing.
    Setup,
    /// Build the page into `dist` and check its size.
    Build,
    /// Serve the page that lies in `dist`, and the cached models.
    Serve(play::Options),
    /// Measure the native program and the page's worker on the cached model, beside other engines in the same browser.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    let places = Places::find()?;
    match command {
        Command::Play(options) => {
            setup::run(&places, Purpose::Play)?;
            page::build(&places)?;
            play::serve_until_stopped(&places, &options)?;
        }
        Command::Test(options) => {
            setup::run(&places, Purpose::Test)?;
            return Ok(tests::run(&places, &options));
        }
        Command::Setup => setup::run(&places, Purpose::Test)?,
        Command::Build => {
            setup::run(&places, Purpose::Build)?;
            page::build(&places)?;
            bundle::check(&places.dist())?;
        }
        Command::Serve(options) => play::serve_until_stopped(&places, &options)?,
        Command::Bench(options) => return bench::run(&places, &options),
    }
    Ok(ExitCode::SUCCESS)
}
