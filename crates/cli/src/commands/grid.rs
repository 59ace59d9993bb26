//! `tiller grid`: at which layer and how strongly a vector steers best.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::{output, pairs_file};
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;
use tiller_interp::evidence::CONTROL_SEEDS;
use tiller_interp::steer::{GridPlan, GridReport, VectorMethod, grid};
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
    /// The blocks after which to add the vector, from 0 [default: six, spread over the model].
    #[arg(long, value_name = "0,1,..", value_delimiter = ',')]
    layers: Option<Vec<u32>>,
    /// How strongly, in multiples of the residual stream's typical norm.
    #[arg(long, value_name = "S,S,..", value_delimiter = ',', default_values_t = GRID_STRENGTHS, allow_negative_numbers = true)]
    strengths: Vec<f32>,
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
    let plan = GridPlan {
        method: flags.method,
        pairs: &pairs,
        layers: &flags.layers.unwrap_or_else(|| grid_layers(session.engine.config().layers)),
        strengths: &flags.strengths,
        neutral: &neutral,
        most_cost: flags.most_cost,
        seeds: &CONTROL_SEEDS,
    };
    let found = grid(&mut session.engine, &plan, &(), |_, _| {}, |_| {}).await?;
    if !flags.json {
        return output::text(&table(&found, &flags.strengths));
    }
    output::json(&Report {
        method: flags.method.name(),
        found: &found,
        backend: loaded.backend(),
        adapter: loaded.adapter(),
    })
}

/// A line for each layer, a column for each strength: the effect in nats, and what it adds to the perplexity.
fn table(found: &GridReport, strengths: &[f32]) -> String {
    let added = |perplexity: f64| 100.0 * (perplexity / found.perplexity_plain - 1.0);
    let mut table = "layer".to_string();
    // Writing to a string does not fail.
    for strength in strengths {
        let _ = write!(table, "{:>18}", format!("{strength}x"));
    }
    for layer in found.cells.chunks(strengths.len()) {
        let _ = write!(table, "\n{:5}", layer[0].layer);
        for cell in layer {
            let shown = match cell.found {
                Some(found) => format!("{:+.2} ({:+.0} %)", found.effect, added(found.perplexity)),
                None => "no numbers".into(),
            };
            let _ = write!(table, "{shown:>18}");
        }
    }
    table.push_str("\n\n");
    let Some(chosen) = &found.chosen else {
        table.push_str("No cell makes the positive texts likelier at this cost.\n");
        return table;
    };
    let effect = chosen.effect;
    let _ = write!(
        table,
        "Layer {} at {}x, on {} other pairs: {:+.2} nats",
        chosen.layer, chosen.strength, effect.examples, effect.mean
    );
    if let Some((low, high)) = effect.interval {
        let _ = write!(table, " [{low:+.2}, {high:+.2}]");
    }
    let _ = writeln!(table, ", perplexity {:+.0} %", added(chosen.perplexity));
    for random in &chosen.random {
        let cost = added(random.perplexity);
        let _ = writeln!(table, "  a random direction: {:+.2} nats, perplexity {cost:+.0} %", random.effect);
    }
    table
}
