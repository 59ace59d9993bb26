//! `tiller grid`: at which layer and how strongly a vector steers best.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::{output, pairs_file};
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use tiller_interp::evidence::CONTROL_SEEDS;
use tiller_interp::steer::{GridPlan, GridReport, VectorMethod, grid, tuned_grid};
use tiller_recipe::{GRID_MOST_COST, GRID_STRENGTHS, grid_layers};

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// How the direction is made of the pairs: mean-diff, pca-diff, pca-center, lda or logistic.
    #[arg(long, value_name = "METHOD", default_value = "mean-diff")]
    method: VectorMethod,
    /// A line for each pair: {"positive": "..", "negative": ".."}. Every other pair makes the directions and chooses;
    /// what is reported is measured on the rest.
    #[arg(long, value_name = "FILE.jsonl")]
    pairs: PathBuf,
    /// In place of the whole grid, no more than N of its cells, each chosen after those before it by Bayesian
    /// optimisation. The grid is then by default of all blocks with 24 strengths from 0.025 to 0.6.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "30")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    tune: Option<u16>,
    /// The blocks after which to add the vector, from 0 [default: six, spread over the model].
    #[arg(long, value_name = "0,1,..", value_delimiter = ',')]
    layers: Option<Vec<u32>>,
    /// How strongly, in multiples of the residual stream's typical norm [default: 0.05, 0.1, 0.15, 0.2, 0.3].
    #[arg(long, value_name = "S,S,..", value_delimiter = ',', allow_negative_numbers = true)]
    strengths: Option<Vec<f32>>,
    /// The most that the choice may add to the perplexity of a neutral text; 0.2 is a fifth.
    #[arg(long, value_name = "SHARE", default_value_t = GRID_MOST_COST)]
    most_cost: f64,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    method: &'static str,
    #[serde(flatten)]
    found: &'a GridReport,
    backend: &'static str,
    adapter: String,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let pairs = pairs_file::read(&flags.pairs)?;
    let mut loaded = flags.device.load(&flags.model).await?;
    let session = &mut loaded.session;
    let pairs = pairs_file::tokens(&pairs, session)?;
    let neutral = session.neutral()?;
    let blocks = session.engine.config().layers;
    let (layers, strengths) = match flags.tune {
        Some(_) => ((0..blocks).collect(), TUNED_STRENGTHS.map(|n| f32::from(n) / 40.0).collect()),
        None => (grid_layers(blocks), GRID_STRENGTHS.to_vec()),
    };
    let strengths = flags.strengths.unwrap_or(strengths);
    let plan = GridPlan {
        method: flags.method,
        pairs: &pairs,
        layers: &flags.layers.unwrap_or(layers),
        strengths: &strengths,
        neutral: &neutral,
        most_cost: flags.most_cost,
        seeds: &CONTROL_SEEDS,
    };
    let engine = &mut session.engine;
    let found = match flags.tune {
        Some(tries) => tuned_grid(engine, &plan, tries.into(), &(), |_, _| {}, |_| {}).await?,
        None => grid(engine, &plan, &(), |_, _| {}, |_| {}).await?,
    };
    if !flags.json {
        let cells = if flags.tune.is_some() { tries(&found) } else { table(&found, &strengths) };
        return output::text(&(cells + &choice(&found)));
    }
    output::json(&Report {
        method: flags.method.name(),
        found: &found,
        backend: loaded.backend(),
        adapter: loaded.adapter(),
    })
}

/// Fortieths, which are the strengths of a tuned grid.
const TUNED_STRENGTHS: RangeInclusive<u8> = 1..=24;

/// What a cell adds to the perplexity, in percent.
fn added(found: &GridReport, perplexity: f64) -> f64 {
    100.0 * (perplexity / found.perplexity_plain - 1.0)
}

/// A line for each cell that was tried, in their order.
fn tries(found: &GridReport) -> String {
    let mut table = "layer   strength   effect (nats)   perplexity\n".to_string();
    for cell in &found.cells {
        let shown = match cell.found {
            Some(reading) => format!("{:>+13.2} {:>+10.0} %", reading.effect, added(found, reading.perplexity)),
            None => format!("{:>13}", "no numbers"),
        };
        // Writing to a string does not fail.
        let _ = writeln!(table, "{:5} {:>9.3}x {shown}", cell.layer, cell.strength);
    }
    let (tried, possible) = (found.cells.len(), found.possible);
    let _ = writeln!(table, "\n{tried} of {possible} cells tried, {} saved.", possible - tried);
    table
}

/// A line for each layer, a column for each strength: the effect in nats, and what it adds to the perplexity.
fn table(found: &GridReport, strengths: &[f32]) -> String {
    let mut table = "layer".to_string();
    // Writing to a string does not fail.
    for strength in strengths {
        let _ = write!(table, "{:>18}", format!("{strength}x"));
    }
    for layer in found.cells.chunks(strengths.len()) {
        let _ = write!(table, "\n{:5}", layer[0].layer);
        for cell in layer {
            let shown = match cell.found {
                Some(reading) => format!("{:+.2} ({:+.0} %)", reading.effect, added(found, reading.perplexity)),
                None => "no numbers".into(),
            };
            let _ = write!(table, "{shown:>18}");
        }
    }
    table.push('\n');
    table
}

/// The chosen cell, on the pairs that did not choose it, beside random directions.
fn choice(found: &GridReport) -> String {
    let Some(chosen) = &found.chosen else {
        return "\nNo cell makes the positive texts likelier at this cost.\n".into();
    };
    let mut table = "\n".to_string();
    let effect = chosen.effect;
    let _ = write!(
        table,
        "Layer {} at {}x, on {} other pairs: {:+.2} nats",
        chosen.layer, chosen.strength, effect.examples, effect.mean
    );
    if let Some((low, high)) = effect.interval {
        let _ = write!(table, " [{low:+.2}, {high:+.2}]");
    }
    let _ = writeln!(table, ", perplexity {:+.0} %", added(found, chosen.perplexity));
    for random in &chosen.random {
        let cost = added(found, random.perplexity);
        let _ = writeln!(table, "  a random direction: {:+.2} nats, perplexity {cost:+.0} %", random.effect);
    }
    table
}
