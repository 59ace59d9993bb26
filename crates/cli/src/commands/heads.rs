//! `tiller heads`: where each head looks in a random text that repeats itself.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::output;
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use tiller_interp::attention::{HeadScores, head_scores, repeated_text};

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// The random text's seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u32,
    /// How many heads of each kind to print.
    #[arg(long, value_name = "N", default_value_t = 5)]
    top: usize,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object, of all heads.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    /// The random text.
    tokens: Vec<u32>,
    heads: &'a [HeadScores],
    backend: &'static str,
    adapter: String,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let mut loaded = flags.device.load(&flags.model).await?;
    let heads = head_scores(&mut loaded.session.engine, flags.seed, &(), |_, _| {}).await?;
    if flags.json {
        let tokens = repeated_text(loaded.session.engine.config().vocab, flags.seed);
        return output::json(&Report { tokens, heads: &heads, backend: loaded.backend(), adapter: loaded.adapter() });
    }
    let kinds: [(&str, fn(&HeadScores) -> f64); 4] = [
        ("previous token", |head| head.previous),
        ("first token", |head| head.first),
        ("same token earlier", |head| head.duplicate),
        ("induction", |head| head.induction),
    ];
    let mut table = String::new();
    for (kind, score) in kinds {
        let mut sorted = heads.clone();
        sorted.sort_by(|a, b| score(b).total_cmp(&score(a)));
        let named = |head: &HeadScores| format!("layer {} head {} {:.2}", head.layer, head.head, score(head));
        let named: Vec<String> = sorted.iter().take(flags.top).map(named).collect();
        // Writing to a string does not fail.
        let _ = writeln!(table, "{kind:>18}  {}", named.join(", "));
    }
    output::text(&table)
}
