//! `tiller bench`: measures loading, reading and writing.
//!
//! Plain and steered writing are measured in one run, in turns, so that whatever else the machine does falls on both.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::output;
use crate::peak_memory::peak_host_bytes;
use clap::Args;
use serde::Serialize;
use std::time::Instant;
use tiller_engine::{DECODE_ROWS, Edit, Engine, Generation, Operation, Positions, Sampling, Site, Timing};
use tiller_interp::evidence::NEUTRAL_TEXT;
use tiller_interp::steer::random_direction;
use tiller_recipe::Prompt;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|REPO")]
    model: ModelSource,
    /// Tokens that are read before writing.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    prompt_tokens: u32,
    /// Tokens that are written in each turn.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..))]
    tokens: u32,
    /// Turns of plain and of steered writing; figures are medians over them.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Counts are of one written token. Those of the GPU's work are 0 on the CPU backend.
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
    /// Median over the rounds of the steered rate over the plain one.
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
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let mut loaded = flags.device.load(&flags.model).await?;
    let session = &loaded.session;
    let text = session.tokens(&Prompt::Text(NEUTRAL_TEXT.into()))?;
    let prompt: Vec<u32> = text.into_iter().cycle().take(flags.prompt_tokens as usize).collect();
    let edit = edit_in_the_middle(&session.engine);
    let what = |edits, tokens| Generation {
        // A turn must not end before its time.
        end_tokens: Vec::new(),
        ..session.generation(prompt.clone(), edits, &[true], Sampling::GREEDY, tokens)
    };
    let plain = what(Vec::new(), flags.tokens);
    let steered = what(vec![edit.clone()], flags.tokens);
    let warm_up = [what(Vec::new(), 2), what(vec![edit], 2)];

    let engine = &mut loaded.session.engine;
    for what in &warm_up {
        time(engine, what).await?;
    }
    let mut rounds = Vec::new();
    for round in 0..flags.rounds {
        // Who goes first alternates too: a machine that heats up slows down.
        let (plain, steered) = match round % 2 {
            0 => {
                let plain = time(engine, &plain).await?;
                (plain, time(engine, &steered).await?)
            }
            _ => {
                let steered = time(engine, &steered).await?;
                (time(engine, &plain).await?, steered)
            }
        };
        rounds.push((plain, steered));
    }

    let over_rounds = |of: fn(&(Timing, Timing)) -> f64| median(rounds.iter().map(of).collect());
    let cost = engine.step_cost(DECODE_ROWS);
    let count = |of: fn(tiller_engine::StepCost) -> u64| cost.map_or(0, of);
    let report = Report {
        model: loaded.file.clone(),
        layers: loaded.session.engine.config().layers,
        backend: loaded.backend(),
        adapter: loaded.adapter(),
        load_s: loaded.load_seconds,
        prefill_tokens_per_s: f64::from(flags.prompt_tokens)
            / over_rounds(|(plain, _)| plain.first_token - plain.started),
        decode_tokens_per_s: over_rounds(|(plain, _)| rate(plain)),
        decode_steered_tokens_per_s: over_rounds(|(_, steered)| rate(steered)),
        decode_steered_ratio: over_rounds(|(plain, steered)| rate(steered) / rate(plain)),
        passes_per_token: count(|cost| cost.passes as u64),
        submits_per_token: count(|cost| cost.submits as u64),
        dispatches_per_token: count(|cost| cost.dispatches as u64),
        readback_bytes_per_token: count(|cost| cost.readback_bytes),
        bytes_moved_per_token: count(|cost| cost.weight_bytes),
        peak_host_bytes: peak_host_bytes(),
        peak_gpu_bytes: loaded.session.engine.gpu().map_or(0, |gpu| gpu.peak_allocated_bytes()),
    };
    if flags.json { output::json(&report) } else { output::text(&table(&report)) }
}

/// A vector added at every token, after the middle block: what steering usually is.
fn edit_in_the_middle(engine: &Engine) -> Edit {
    let config = engine.config();
    let vector = random_direction(1, config.width as usize).into();
    let operation = Operation::Add { vector, coefficient: 1.0 };
    Edit { site: Site::ResidPost(config.layers / 2), operation, positions: Positions::All }
}

async fn time(engine: &mut Engine, what: &Generation) -> anyhow::Result<Timing> {
    let begun = Instant::now();
    let (_, timing) = engine.generate(what, &(), || begun.elapsed().as_secs_f64(), |_| {}).await?;
    Ok(timing)
}

fn rate(timing: &Timing) -> f64 {
    timing.decode_rate().unwrap_or(0.0)
}

fn median(mut values: Vec<f64>) -> f64 {
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
    lines.iter().map(|(name, value)| format!("{name:18} {value}\n")).collect()
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
