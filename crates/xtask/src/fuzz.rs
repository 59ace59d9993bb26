//! Fuzzing: everything that is read from outside, read from noise for a while.
//!
//! The targets are built with the compiler's own coverage counters (LLVM's SanitizerCoverage, which stable Rust can be
//! told to insert) and linked to libFuzzer. No nightly compiler and no further program is needed.

use crate::command::{answer, command, run};
use crate::places::Places;
use crate::tally::Tally;
use crate::tests::target_names;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

/// Seconds for each target.
const SECONDS: u32 = 15;
/// Targets at a time; each is one thread.
const SIDE_BY_SIDE: usize = 2;

/// What `cargo fuzz` passes as well, without a sanitizer of memory: the code that is fuzzed has no `unsafe`.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Builds every target, tries the seeds on it, then inputs made of them. A target is one test.
pub fn fuzz_all(places: &Places, tally: &mut Tally) -> Result<()> {
    let targets = target_names(&places.root.join("fuzz/fuzz_targets"))?;
    let programs = build(places)?;
    let waiting = Mutex::new(targets.iter());
    let tally = Mutex::new(tally);
    let next = || waiting.lock().expect("no target panics").next();
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(target) = next() {
                    let outcome = fuzz(places, target, &programs.join(target));
                    let mut tally = tally.lock().expect("no target panics");
                    match outcome {
                        Ok(inputs) => {
                            println!("fuzz target {target} ... ok ({inputs} inputs)");
                            tally.passed += 1;
                        }
                        Err(error) => tally.fail(&format!("fuzz target {target}"), &format!("{error:#}")),
                    }
                }
            });
        }
    });
    Ok(())
}

/// The folder of the built targets.
fn build(places: &Places) -> Result<PathBuf> {
    let version = answer(command("rustc").arg("-vV")).context("rustc does not run")?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not say its host")?;
    let folder = places.root.join("target/fuzz");
    let start = Instant::now();
    let mut cargo = command("cargo");
    cargo.args(["build", "--quiet", "--release", "--bins", "--target", host, "--target-dir"]).arg(&folder);
    // With a target named, what runs during the build is built without the counters.
    cargo.env("RUSTFLAGS", COVERAGE).env_remove("CARGO_ENCODED_RUSTFLAGS");
    run(cargo.current_dir(places.root.join("fuzz"))).context("the fuzz targets could not be built")?;
    println!("the targets are built after {:.0} s", start.elapsed().as_secs_f32());
    Ok(folder.join(host).join("release"))
}

/// How many inputs were tried; an error with the input that failed.
fn fuzz(places: &Places, target: &str, program: &Path) -> Result<u64> {
    let fuzz = places.root.join("fuzz");
    let found = places.root.join("target/fuzz/found").join(target);
    let failed = places.artefacts().join("fuzz");
    // Each run begins with the seeds alone, so that runs on the same machine do the same.
    if found.exists() {
        fs::remove_dir_all(&found)?;
    }
    fs::create_dir_all(&found)?;
    fs::create_dir_all(&failed)?;

    let mut fuzzer = command(program);
    fuzzer.arg(&found).arg(fuzz.join("seeds").join(target));
    fuzzer.args(["-seed=1", "-timeout=10", "-rss_limit_mb=2048", &format!("-max_total_time={SECONDS}")]);
    fuzzer.arg(format!("-artifact_prefix={}/{target}-", failed.display()));
    let dictionary = fuzz.join("dictionaries").join(target);
    if dictionary.is_file() {
        fuzzer.arg(format!("-dict={}", dictionary.display()));
    }
    let output = fuzzer.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", failure(&said));
    said.lines().find_map(inputs_done).context("the fuzzer ended without saying how many inputs it tried")
}

/// The number in libFuzzer's closing line: `Done 1234 runs in 16 second(s)`.
fn inputs_done(line: &str) -> Option<u64> {
    line.strip_prefix("Done ")?.split_once(" runs in ")?.0.parse().ok()
}

/// What a failed target said of its failure, without the progress before it, and with the path of the input at its end.
fn failure(said: &str) -> String {
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with(['#', '\t'])).collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuzzers_closing_line_says_how_many_inputs_were_tried() {
        assert_eq!(inputs_done("Done 35129 runs in 16 second(s)"), Some(35129));
        for other in ["#35129\tDONE   cov: 2", "Done with it", ""] {
            assert_eq!(inputs_done(other), None);
        }
    }

    #[test]
    fn a_failure_is_told_with_its_input_and_without_the_progress() {
        let said = "INFO: Seed: 1\n#2\tINITED cov: 3\nthread panicked at src/lib.rs:7\n\tNEW_FUNC[1/2]\n\
            Test unit written to target/artefacts/fuzz/gguf-crash-0a\n";
        let told = failure(said);
        assert!(told.contains("panicked at src/lib.rs:7") && told.ends_with("gguf-crash-0a"), "{told}");
        assert!(!told.contains("INITED") && !told.contains("NEW_FUNC"), "{told}");
    }
}
