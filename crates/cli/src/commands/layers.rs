//! `tiller layers`: at which layer a vector steers, swept, and what cheap ways to pick a layer are worth.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::{output, pairs_file};
use anyhow::bail;
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;
use tiller_interp::evidence::CONTROL_SEEDS;
use tiller_interp::steer::{LayerSweep, LayerSweepPlan, PickedBy, VectorMethod, layer_sweep};
use tiller_recipe::GRID_MOST_COST;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// How the direction is made of the pairs: mean-diff, pca-diff, pca-center, lda or logistic.
    #[arg(long, value_name = "METHOD", default_value = "mean-diff")]
    method: VectorMethod,
    /// A line for each pair: {"positive": "..", "negative": ".."}. Every other pair makes the directions and picks; what is
    /// reported is measured on the rest.
    #[arg(long, value_name = "FILE.jsonl")]
    pairs: PathBuf,
    /// The blocks after which to steer, from 0 [default: all].
    #[arg(long, value_name = "0,1,..", value_delimiter = ',')]
    layers: Option<Vec<u32>>,
    /// How strongly, in multiples of the residual stream's typical norm.
    #[arg(long, value_name = "X", default_value_t = 0.15)]
    strength: f32,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    method: &'static str,
    strength: f32,
    #[serde(flatten)]
    found: &'a LayerSweep,
    backend: &'static str,
    adapter: String,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    if !flags.strength.is_finite() {
        bail!("the strength {} is no number that a vector can be multiplied by: give a finite one", flags.strength);
    }
    let pairs = pairs_file::read(&flags.pairs)?;
    let mut loaded = flags.device.load(&flags.model).await?;
    let session = &mut loaded.session;
    let plan = LayerSweepPlan {
        method: flags.method,
        pairs: &pairs_file::tokens(&pairs, session)?,
        layers: &flags.layers.unwrap_or_else(|| (0..session.engine.config().layers).collect()),
        strength: flags.strength,
        neutral: &session.neutral()?,
        most_cost: GRID_MOST_COST,
        seeds: &CONTROL_SEEDS,
    };
    let found = layer_sweep(&mut session.engine, &plan, &(), |_, _| {}).await?;
    if !flags.json {
        return output::text(&table(&found));
    }
    let (method, strength) = (flags.method.name(), flags.strength);
    output::json(&Report { method, strength, found: &found, backend: loaded.backend(), adapter: loaded.adapter() })
}

/// Of the effect that the sweep's layer has, what a pick that is as good has at least.
const AS_GOOD: f64 = 0.9;

fn table(found: &LayerSweep) -> String {
    let mut table = "layer   of the stream   of the lens       d'   effect (nats)   perplexity\n".to_string();
    for at in &found.layers {
        let d_prime = at.separability.map_or("-".into(), |s| format!("{:.2}", s.d_prime));
        let added = 100.0 * (at.perplexity / found.perplexity_plain - 1.0);
        let (layer, hidden, lens) = (at.divergence.layer, at.divergence.hidden, at.divergence.lens);
        let mark = if found.best == Some(layer) { "   swept" } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "{layer:5} {hidden:>15.4} {lens:>13.4} {d_prime:>8} {:>+15.2} {added:>+10.0} %{mark}",
            at.reported.mean
        );
    }
    if found.best.is_none() {
        return table + "\nNo layer makes the positive texts likelier at an acceptable cost.\n";
    }
    table.push('\n');
    for pick in &found.picks {
        let by = match pick.by {
            PickedBy::Hidden => "the stream's divergence",
            PickedBy::Lens => "the lens's divergence",
            PickedBy::Separability => "separability",
        };
        let verdict = if pick.share >= AS_GOOD { "as good as the sweep" } else { "not as good as the sweep" };
        let share = 100.0 * pick.share;
        let _ = writeln!(table, "{by:24} picks layer {:2}: {share:.0} % of the swept effect, {verdict}", pick.layer);
    }
    let random: Vec<String> = found.random.iter().map(|effect| format!("{effect:+.2}")).collect();
    let _ = writeln!(table, "random directions at the swept layer: {} nats", random.join(", "));
    table
}
