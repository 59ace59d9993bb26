//! `tiller bench`: measures loading, reading and writing.
//!
//! Reading is measured on a prompt, writing from an empty context. Plain and steered writing take short turns in one
//! run, so that whatever else the machine does falls on both. How writing slows down as a text grows is measured where it
//! is asked for, because the text has to be read first.

mod depths;
mod lab;

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::output;
use crate::peak_memory::peak_host_bytes;
use clap::Args;
use depths::AtDepth;
use lab::Lab;
use serde::Serialize;
use std::time::Instant;
use tiller_engine::{DECODE_ROWS, Edit, Engine, Generation, Sampling, Site, StepCost, Timing};
use tiller_interp::steer::random_direction;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// Tokens of the prompt that is read.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    prompt_tokens: u32,
    /// Tokens that are written plain, and as many steered; in turns of 16.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..))]
    tokens: u32,
    /// Also time a token at these depths of a text, which have to fit into the context [default: 16,512,2048,4000].
    #[arg(long, value_name = "N,N", value_delimiter = ',', num_args = 0.., require_equals = true)]
    #[arg(default_missing_values = ["16", "512", "2048", "4000"])]
    #[arg(value_parser = clap::value_parser!(u32).range(depths::LEAST..))]
    depths: Vec<u32>,
    /// Also time vectors of all layers from 200 pairs, and probes of all layers on 1,000 texts, beside reading the texts.
    #[arg(long)]
    lab: bool,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Tokens of a turn.
const TURN: u32 = 16;

/// The prompt is read so often.
const READINGS: usize = 2;

/// Figures are medians over the turns, or over the readings. Counts are of one token that is written without steering.
/// Those of the GPU's work are 0 on the CPU backend.
#[derive(Serialize)]
struct Report {
    model: String,
    layers: u32,
    backend: &'static str,
    adapter: String,
    load_s: f64,
    prefill_tokens_per_s: f64,
    decode_tokens_per_s: f64,
    decode_steered_tokens_per_s: f64,
    /// The steered rate over the plain one of the turn beside it.
    decode_steered_ratio: f64,
    passes_per_token: u64,
    submits_per_token: u64,
    dispatches_per_token: u64,
    readback_bytes_per_token: u64,
    /// Bytes of weights that a token's pass reads.
    bytes_moved_per_token: u64,
    /// 0 where the system does not say.
    peak_host_bytes: u64,
    peak_gpu_bytes: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depths: Vec<AtDepth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lab: Option<Lab>,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let mut loaded = flags.device.load(&flags.model).await?;
    depths::check(&loaded.session.engine, &flags.depths)?;
    let session = &loaded.session;
    let text = session.neutral()?;
    let prompt: Vec<u32> = text.iter().copied().cycle().take(flags.prompt_tokens as usize).collect();
    let what = |prompt: &[u32], edits, tokens| Generation {
        // A turn must not end before its time.
        end_tokens: Vec::new(),
        ..session.generation(prompt.to_vec(), edits, &[true], Sampling::GREEDY, tokens)
    };
    let turn = flags.tokens.min(TURN);
    let reading = what(&prompt, Vec::new(), 1);
    let plain = what(&text[..1], Vec::new(), turn);
    let steered = what(&text[..1], vec![edit_in_the_middle(&session.engine)], turn);

    // What is done for the first time (compiling, recording, touching memory) is done before the clock runs.
    let engine = &mut loaded.session.engine;
    time(engine, &steered).await?;
    time(engine, &plain).await?;
    let cost = engine.step_cost(DECODE_ROWS);
    time(engine, &reading).await?;

    let mut readings = Vec::new();
    for _ in 0..READINGS {
        readings.push(time(engine, &reading).await?);
    }
    let mut turns = Vec::new();
    for n in 0..flags.tokens.div_ceil(turn) {
        // Who goes first alternates too: a machine that heats up slows down.
        let order = if n % 2 == 0 { [&plain, &steered] } else { [&steered, &plain] };
        let [first, second] = [time(engine, order[0]).await?, time(engine, order[1]).await?];
        turns.push(if n % 2 == 0 { (first, second) } else { (second, first) });
    }
    let depths = depths::measure(engine, &text, &flags.depths).await?;

    let lab = if flags.lab { Some(lab::measure(&mut loaded).await?) } else { None };
    let over_turns = |of: fn(&(Timing, Timing)) -> f64| median(turns.iter().map(of).collect());
    let count = |of: fn(StepCost) -> u64| cost.map_or(0, of);
    let read_rate = |timing: &Timing| f64::from(flags.prompt_tokens) / (timing.first_token - timing.started);
    let report = Report {
        model: loaded.file.clone(),
        layers: loaded.session.engine.config().layers,
        backend: loaded.backend(),
        adapter: loaded.adapter(),
        load_s: loaded.load_seconds,
        prefill_tokens_per_s: median(readings.iter().map(read_rate).collect()),
        decode_tokens_per_s: over_turns(|(plain, _)| rate(plain)),
        decode_steered_tokens_per_s: over_turns(|(_, steered)| rate(steered)),
        decode_steered_ratio: over_turns(|(plain, steered)| rate(steered) / rate(plain)),
        passes_per_token: count(|cost| cost.passes as u64),
        submits_per_token: count(|cost| cost.submits as u64),
        dispatches_per_token: count(|cost| cost.dispatches as u64),
        readback_bytes_per_token: count(|cost| cost.readback_bytes),
        bytes_moved_per_token: count(|cost| cost.weight_bytes),
        peak_host_bytes: peak_host_bytes(),
        peak_gpu_bytes: loaded.session.engine.gpu().map_or(0, |gpu| gpu.peak_allocated_bytes()),
        depths,
        lab,
    };
    if flags.json { output::json(&report) } else { output::text(&table(&report)) }
}

/// A vector added at every token, after the middle block: what steering usually is.
fn edit_in_the_middle(engine: &Engine) -> Edit {
    let config = engine.config();
    let vector = random_direction(1, config.width as usize);
    Edit::add(Site::ResidPost(config.layers / 2), vector, 1.0)
}

pub(super) async fn time(engine: &mut Engine, what: &Generation) -> anyhow::Result<Timing> {
    let begun = Instant::now();
    let (_, timing) = engine.generate(what, &(), || begun.elapsed().as_secs_f64(), |_| {}).await?;
    Ok(timing)
}

pub(super) fn rate(timing: &Timing) -> f64 {
    timing.decode_rate().unwrap_or(0.0)
}

pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

/// The report for people.
fn table(report: &Report) -> String {
    let mebibytes = |bytes: u64| format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20));
    let lines = [
        ("model", format!("{}, {} layers", report.model, report.layers)),
        ("backend", format!("{} ({})", report.backend, report.adapter)),
        ("loading", format!("{:.2} s", report.load_s)),
        ("reading", format!("{:.1} tokens/s", report.prefill_tokens_per_s)),
        ("writing", format!("{:.1} tokens/s", report.decode_tokens_per_s)),
        ("writing, steered", format!("{:.1} tokens/s", report.decode_steered_tokens_per_s)),
        ("steered / plain", format!("{:.3}", report.decode_steered_ratio)),
        (
            "a token's pass",
            format!(
                "{} dispatches in {} passes, {} submits",
                report.dispatches_per_token, report.passes_per_token, report.submits_per_token
            ),
        ),
        ("read back a token", format!("{} bytes", report.readback_bytes_per_token)),
        ("weights a token", mebibytes(report.bytes_moved_per_token)),
        ("peak memory", mebibytes(report.peak_host_bytes)),
        ("peak GPU memory", mebibytes(report.peak_gpu_bytes)),
    ];
    let lines: String = lines.iter().map(|(name, value)| format!("{name:18} {value}\n")).collect();
    let lines = if report.depths.is_empty() { lines } else { lines + &depths::table(&report.depths) };
    lines + &report.lab.as_ref().map_or(String::new(), lab::table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }
}
