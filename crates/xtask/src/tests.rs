//! Every test of the project, in the order in which a failure tells most: the crates, the real model, the kernels in a
//! browser, the page from end to end, and what a stranger's bytes can do; and, where they are asked for, larger models.

use crate::bundle;
use crate::command::command;
use crate::fuzz;
use crate::page;
use crate::places::Places;
use crate::setup::{self, Browser};
use crate::tally::Tally;
use crate::wasm_toolchain::{TARGET, WasmToolchain};
use anyhow::{Context, Result};
use clap::ValueEnum;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use tiller_localhub::{GEMMA3_270M, QWEN25_CODER_05B};

#[derive(clap::Args)]
pub struct Options {
    /// Only these parts; without any, all but the optional one.
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Each crate's own tests, and the kernels on this machine's GPU.
    Crates,
    /// Numbers on the real model.
    Model,
    /// The page builds and is small enough; the kernels run in a browser.
    Browser,
    /// The page in a real browser.
    EndToEnd,
    /// Everything that is read from outside, read from noise.
    Fuzz,
    /// Numbers on two larger models, which it downloads first (745 MB, once): only where it is asked for.
    Optional,
}

pub fn run(places: &Places, options: &Options) -> ExitCode {
    let mut tally = Tally::default();
    for part in Part::value_variants() {
        let by_default = options.parts.is_empty() && *part != Part::Optional;
        if by_default || options.parts.contains(part) {
            let done = match part {
                Part::Crates => crates(places, &mut tally),
                Part::Model => real_model(places, &mut tally),
                Part::Browser => browser(places, &mut tally),
                Part::EndToEnd => end_to_end(places, &mut tally),
                Part::Fuzz => fuzzing(places, &mut tally),
                Part::Optional => larger_models(places, &mut tally),
            };
            if let Err(error) = done {
                tally.fail(&format!("{part:?}"), &format!("{error:#}"));
            }
        }
    }
    println!("\n{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn crates(places: &Places, tally: &mut Tally) -> Result<()> {
    title("tests of the crates");
    let mut cargo = cargo_test(places)?;
    // The tests across crates have parts of their own.
    cargo.args(["--workspace", "--exclude", "tiller-tests"]);
    tally.count("the crates", &mut cargo);
    Ok(())
}

fn real_model(places: &Places, tally: &mut Tally) -> Result<()> {
    title("tests on the real model");
    let mut cargo = cargo_test(places)?;
    cargo.args(["--package", "tiller-tests", "--lib"]);
    for target in target_names(&places.root.join("tests/tests"))? {
        if target != END_TO_END && target != LARGER_MODELS {
            cargo.args(["--test", &target]);
        }
    }
    tally.count("the real model", &mut cargo);
    Ok(())
}

fn browser(places: &Places, tally: &mut Tally) -> Result<()> {
    title("the page, and the kernels in a browser");
    // Whatever happens to the page, the kernels are tested.
    if let Err(error) = page::build(places).and_then(|()| bundle::check(&places.dist())) {
        tally.fail("the page", &format!("{error:#}"));
    }
    let toolchain = WasmToolchain::find().context("no compiler for the browser")?;
    let browser = installed_browser()?;
    let mut cargo = cargo_test(places)?;
    toolchain.apply(&mut cargo);
    cargo.args(["--target", TARGET, "--package", "tiller-conformance", "--package", "tiller-hub", "--test", "web"]);
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", places.tool("wasm-bindgen-test-runner"));
    cargo.env("CHROMEDRIVER", &browser.chromedriver);
    cargo.env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", capabilities(places, &browser.chromium)?);
    // In seconds, for all tests together: a software GPU takes its time.
    cargo.env("WASM_BINDGEN_TEST_TIMEOUT", "1800").env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "60");
    tally.count("the kernels and the browser's storage", &mut cargo);
    Ok(())
}

fn end_to_end(places: &Places, tally: &mut Tally) -> Result<()> {
    title("the page, end to end");
    let mut cargo = cargo_test(places)?;
    cargo.args(["--package", "tiller-tests", "--test", END_TO_END]);
    tally.count("the page, end to end", &mut cargo);
    Ok(())
}

fn fuzzing(places: &Places, tally: &mut Tally) -> Result<()> {
    title("everything that is read from outside, read from noise");
    fuzz::fuzz_all(places, tally)
}

fn larger_models(places: &Places, tally: &mut Tally) -> Result<()> {
    title("tests on larger models");
    for model in [&GEMMA3_270M, &QWEN25_CODER_05B] {
        setup::fetch_if_missing(places, model)?;
    }
    let mut cargo = cargo_test(places)?;
    // One after the other: each holds a model, and on a software GPU takes all the cores there are.
    cargo.args(["--package", "tiller-tests", "--test", LARGER_MODELS, "--", "--ignored", "--test-threads=1"]);
    tally.count("larger models", &mut cargo);
    if places.dist().join("index.html").is_file() {
        let mut cargo = cargo_test(places)?;
        cargo.args(["--package", "tiller-tests", "--test", END_TO_END, "--", "--ignored", "larger_model"]);
        tally.count("a larger model in the page", &mut cargo);
    }
    Ok(())
}

/// The test target whose models are fetched only when it is asked for.
const LARGER_MODELS: &str = "optional";

/// The test target that drives the page.
const END_TO_END: &str = "e2e";

fn title(what: &str) {
    println!("\n== {what} ==\n");
}

/// `cargo test`, told where set-up has put things.
fn cargo_test(places: &Places) -> Result<Command> {
    let browser = installed_browser()?;
    let mut cargo = command("cargo");
    cargo.args(["test", "--release", "--no-fail-fast"]).current_dir(&places.root);
    cargo.env("TILLER_HUB_CACHE", places.hub()).env("TILLER_DIST", places.dist());
    cargo.env("TILLER_ARTEFACTS", places.artefacts());
    cargo.env("TILLER_CHROMIUM", browser.chromium).env("TILLER_CHROMEDRIVER", browser.chromedriver);
    Ok(cargo)
}

fn installed_browser() -> Result<Browser> {
    Browser::find().context("Chromium or its driver is missing; run `cargo xtask setup`")
}

/// The names of the programs in a folder such as `tests`, as cargo finds them: files, and folders with a `main.rs`.
pub fn target_names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for child in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = child?.path();
        if path.extension().is_some_and(|kind| kind == "rs") || path.join("main.rs").is_file() {
            names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// The browser's flags that the tests come with, for the browser that was found.
fn capabilities(places: &Places, chromium: &Path) -> Result<PathBuf> {
    let written = fs::read_to_string(places.root.join("tests/conformance/webdriver.json"))?;
    let mut capabilities: serde_json::Value = serde_json::from_str(&written)?;
    capabilities["goog:chromeOptions"]["binary"] = chromium.to_string_lossy().into();
    let path = places.root.join("target/webdriver.json");
    fs::create_dir_all(places.root.join("target"))?;
    fs::write(&path, capabilities.to_string())?;
    Ok(path)
}
