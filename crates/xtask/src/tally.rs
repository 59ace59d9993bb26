//! Counting tests over several runs of `cargo test`, from what they print, while they print it.

use anyhow::{Context, Result};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};

#[derive(Debug, Default)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
}

impl Tally {
    /// Runs a step that prints test results, showing all of it. A step that fails without a failed test (it did not
    /// compile, or died) counts as one.
    pub fn count(&mut self, step: &str, command: &mut Command) {
        let before = self.failed;
        let well = self.stream(command).unwrap_or_else(|error| {
            println!("{error:#}");
            false
        });
        if !well && self.failed == before {
            self.fail(step, "it did not run to its end");
        }
    }

    pub fn fail(&mut self, step: &str, why: &str) {
        self.failed += 1;
        println!("\nFAILED {step}: {why}\n");
    }

    fn stream(&mut self, command: &mut Command) -> Result<bool> {
        let mut child = command.stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
        let mut output = BufReader::new(child.stdout.take().context("its output is piped")?);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line)? > 0 {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&line)?;
            stdout.flush()?;
            if let Some((passed, failed)) = result(&String::from_utf8_lossy(&line)) {
                self.passed += passed;
                self.failed += failed;
            }
            line.clear();
        }
        Ok(child.wait()?.success())
    }
}

/// The numbers of a closing line: `test result: ok. 15 passed; 0 failed; 0 ignored; ...`, or, of the kernels' registry,
/// which has a harness of its own, `98 cases, 0 failed []`.
fn result(line: &str) -> Option<(u64, u64)> {
    let line = line.trim();
    if let Some((cases, rest)) = line.split_once(" cases, ") {
        let (cases, failed): (u64, u64) = (cases.parse().ok()?, rest.split_once(" failed")?.0.parse().ok()?);
        return Some((cases.checked_sub(failed)?, failed));
    }
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |name: &str| {
        counts.split(';').find_map(|part| part.trim().strip_suffix(name)).and_then(|digits| digits.trim().parse().ok())
    };
    Some((number("passed")?, number("failed")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted_and_nothing_else() {
        let ok = "test result: ok. 15 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.47s\n";
        assert_eq!(result(ok), Some((15, 0)));
        assert_eq!(
            result("test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out"),
            Some((3, 2))
        );
        assert_eq!(result("98 cases, 3 failed [\"norm\"]"), Some((95, 3)));
        for other in ["test a_test ... ok", "running 15 tests", "15 passed; 2 failed", ""] {
            assert_eq!(result(other), None);
        }
    }

    #[test]
    fn a_step_that_cannot_run_is_a_failure() {
        let mut tally = Tally::default();
        tally.count("nothing", &mut Command::new("/no/such/program"));
        assert_eq!((tally.passed, tally.failed), (0, 1));
    }
}
