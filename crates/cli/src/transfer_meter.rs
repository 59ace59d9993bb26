//! How far a download is, on stderr.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};
use tiller_hub::{Phase, Progress};

/// Shows a line that is written over where stderr is a terminal, and a line now and then where it is a file.
pub struct TransferMeter {
    what: String,
    shown: Option<Instant>,
    on_terminal: bool,
}

impl TransferMeter {
    pub fn new(what: &str) -> TransferMeter {
        TransferMeter { what: what.into(), shown: None, on_terminal: std::io::stderr().is_terminal() }
    }

    /// From here on it is about another file.
    pub fn turn_to(&mut self, what: &str) {
        if self.what != what {
            self.what = what.into();
        }
    }

    pub fn show(&mut self, progress: Progress) {
        let pause = if self.on_terminal { Duration::from_millis(100) } else { Duration::from_secs(5) };
        let due = self.shown.is_none_or(|shown| shown.elapsed() >= pause);
        // A file that is in the cache is nothing to speak of.
        if !due || progress.phase == Phase::Ready {
            return;
        }
        self.shown = Some(Instant::now());
        let line = line(&self.what, &progress);
        // Whether anybody can see it must not decide whether the file is fetched.
        let _ = match self.on_terminal {
            true => write!(std::io::stderr(), "\r\x1b[K{line}"),
            false => writeln!(std::io::stderr(), "{line}"),
        };
    }

    pub fn end(&self) {
        if self.on_terminal && self.shown.is_some() {
            let _ = writeln!(std::io::stderr());
        }
    }
}

fn line(what: &str, progress: &Progress) -> String {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let doing = match progress.phase {
        Phase::Connecting => return format!("{what}: asking the hub"),
        Phase::Downloading => "fetching",
        Phase::Waiting { seconds } => return format!("{what}: the hub asks to wait {seconds:.0} s"),
        Phase::Elsewhere => "another program is fetching it,",
        Phase::Resuming { .. } => "connection broke, trying again at",
        Phase::Verifying => "checking what is there,",
        Phase::Ready => "ready,",
    };
    let received = megabytes(progress.received);
    let of = progress.total.map_or(String::new(), |total| format!(" of {:.1}", megabytes(total)));
    format!("{what}: {doing} {received:.1}{of} MB, {:.1} MB/s", progress.bytes_per_s / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_far_it_is() {
        let progress = Progress {
            received: 12_300_000,
            total: Some(98_400_000),
            bytes_per_s: 4_560_000.0,
            phase: Phase::Downloading,
        };
        assert_eq!(line("model.gguf", &progress), "model.gguf: fetching 12.3 of 98.4 MB, 4.6 MB/s");
        let unknown = Progress { total: None, ..progress };
        assert_eq!(line("model.gguf", &unknown), "model.gguf: fetching 12.3 MB, 4.6 MB/s");
    }
}
