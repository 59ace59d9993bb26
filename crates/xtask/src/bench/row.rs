//! One engine, measured once in a browser of its own.

use super::browser::Browser;
use super::processes::{Role, machine_cpu_seconds, own_cpu_seconds};
use super::stage::Stage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::thread;
use std::time::{Duration, Instant};

/// How often the browser is looked at: a process that is gone cannot be asked for its memory.
const GLANCE: Duration = Duration::from_millis(500);

/// What one run has shown.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    pub report: Report,
    /// Why there is not all of it.
    pub error: Option<String>,
    pub renderer_peak_bytes: Option<u64>,
    pub gpu_peak_bytes: Option<u64>,
    /// Cores, on average, that were busy with anything else meanwhile.
    pub other_cores: Option<f64>,
    pub seconds: f64,
}

/// What a page has found out; its fields are filled one after the other.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    pub done: bool,
    pub error: Option<String>,
    pub isolated: bool,
    pub threads: Option<u32>,
    pub adapter: Option<Adapter>,
    pub load_s: Option<f64>,
    /// What the engine says of itself.
    pub about: Option<Value>,
    pub warm_up: Option<Reading>,
    pub readings: Vec<Reading>,
}

/// As the browser describes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Adapter {
    pub name: String,
    /// Whether shaders may compute in half precision.
    pub f16: bool,
}

/// The prompt read once, and continued.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reading {
    pub text: String,
    pub prompt_tokens: u32,
    pub tokens: u32,
    /// Tokens a second, reading the prompt.
    pub prefill: Option<f64>,
    /// Tokens a second, writing.
    pub decode: Option<f64>,
}

impl Run {
    /// An engine that could not even be tried.
    pub fn impossible(why: String) -> Self {
        let (renderer_peak_bytes, gpu_peak_bytes, other_cores) = (None, None, None);
        let report = Report::default();
        Self { report, error: Some(why), renderer_peak_bytes, gpu_peak_bytes, other_cores, seconds: 0.0 }
    }
}

/// Watches a browser, just opened, until its page is done, or failed, or the time is over.
pub fn watch(stage: &Stage, mut browser: Browser, limit: Duration) -> Run {
    let begun = Instant::now();
    let load = || machine_cpu_seconds().map(|machine| machine - own_cpu_seconds());
    let before = load();
    let (report, error) = loop {
        thread::sleep(GLANCE);
        // In this order: what the page says of its end must not be older than the end.
        let ended = browser.has_ended();
        browser.family.look();
        let report = match stage.report().map(serde_json::from_value::<Report>) {
            None => None,
            Some(Ok(report)) => Some(report),
            Some(Err(error)) => break (Report::default(), Some(format!("its report cannot be read: {error}"))),
        };
        let started = report.is_some();
        let report = report.unwrap_or_default();
        if report.done || report.error.is_some() {
            let error = report.error.clone();
            break (report, error);
        }
        if ended {
            break (report, Some("the browser ended".into()));
        }
        if started && browser.family.has_lost(Role::Renderer) {
            break (report, Some("the page's process ended".into()));
        }
        if begun.elapsed() > limit {
            break (report, Some(format!("it was not done after {} s", limit.as_secs())));
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    let others = |(before, after): (f64, f64)| ((after - before - browser.family.cpu_seconds()) / seconds).max(0.0);
    Run {
        report,
        error,
        renderer_peak_bytes: browser.family.peak_bytes(Role::Renderer),
        gpu_peak_bytes: browser.family.peak_bytes(Role::Gpu),
        other_cores: before.zip(load()).map(others),
        seconds,
    }
}

/// Waits until the machine does next to nothing for a while, for `longest` at the most.
pub fn wait_for_quiet(longest: Duration) {
    const WHILE: Duration = Duration::from_secs(3);
    const CORES: f64 = 0.2;
    let begun = Instant::now();
    while begun.elapsed() < longest {
        let Some(before) = machine_cpu_seconds() else { return };
        thread::sleep(WHILE);
        let Some(after) = machine_cpu_seconds() else { return };
        if (after - before) / WHILE.as_secs_f64() < CORES {
            return;
        }
    }
}
