//! `tiller lens`: the next token as each layer would have it, by the logit lens or a tuned one.

use crate::loaded::{DeviceFlags, Loaded};
use crate::model_file::ModelSource;
use crate::output;
use crate::prompt_flags::PromptFlags;
use crate::steering_flags::SteeringFlags;
use crate::tuned_lens::{LensInUse, TunedLensFlags, TunedReport};
use anyhow::bail;
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use std::ops::Range;
use tiller_engine::{Edit, Site};
use tiller_experiment::Session;
use tiller_interp::lens::{LensLayer, LensReading, RankedToken, logit_lens};
use tiller_recipe::Finding;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    #[command(flatten)]
    prompt: PromptFlags,
    /// A token to follow through the layers, spelt with its space, as in " Paris"; may be given again.
    #[arg(long, value_name = "TOKEN")]
    watch: Vec<String>,
    /// How many of the most probable tokens to name.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=50))]
    top: u8,
    /// The token to look at, by its position from 0 [default: the last one]. With --json all positions are given,
    /// unless one is named.
    #[arg(long, value_name = "N")]
    position: Option<usize>,
    #[command(flatten)]
    tuned: TunedLensFlags,
    #[command(flatten)]
    steering: SteeringFlags,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    tokens: &'a [u32],
    texts: Vec<String>,
    /// The position of each layer's first cell.
    first_position: usize,
    /// The last block's output first.
    layers: &'a [LensLayer],
    /// Of a tuned lens that was trained for this.
    #[serde(skip_serializing_if = "Option::is_none")]
    tuned: Option<TunedReport<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<Finding>,
    backend: &'static str,
    adapter: String,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let prompt = flags.prompt.given(None)?;
    let mut loaded = flags.device.load(&flags.model).await?;
    let session = &loaded.session;
    let edit = flags.steering.edit(session.engine.config()).await?;
    let tokens = prompt.tokens(session)?;
    let watched = flags.watch.iter().map(|text| session.one_token(text)).collect::<Result<Vec<u32>, _>>()?;
    let positions = match flags.position {
        Some(position) if position >= tokens.len() => {
            bail!("position {position} is past the text's end: give one of 0 to {}", tokens.len().saturating_sub(1))
        }
        Some(position) => position..position + 1,
        None if flags.json => 0..tokens.len(),
        None => tokens.len().saturating_sub(1)..tokens.len(),
    };
    let edits = edit.into_iter().collect();
    let tuned = flags.tuned.lens(&mut loaded).await?;
    let asked = Asked { tokens, positions, watched, top: flags.top.into(), edits, tuned };
    let layers = read(&mut loaded.session, &asked).await?;
    show(&loaded, &asked, &layers, None, flags.json)
}

/// What is asked of the lens, as [`LensReading`] has it.
pub struct Asked {
    pub tokens: Vec<u32>,
    pub positions: Range<usize>,
    pub watched: Vec<u32>,
    pub top: usize,
    pub edits: Vec<Edit>,
    pub tuned: Option<LensInUse>,
}

/// The last block's output first.
pub async fn read(session: &mut Session, asked: &Asked) -> anyhow::Result<Vec<LensLayer>> {
    let Asked { tokens, positions, watched, top, edits, tuned } = asked;
    let tuned = tuned.as_ref().map(LensInUse::lens);
    let what = LensReading { tokens, positions: positions.clone(), watched, top: *top, edits, tuned };
    let mut layers = Vec::new();
    logit_lens(&mut session.engine, &what, &(), |_, _| {}, |layer| layers.push(layer)).await?;
    Ok(layers)
}

/// Prints it.
pub fn show(
    loaded: &Loaded,
    asked: &Asked,
    layers: &[LensLayer],
    finding: Option<Finding>,
    json: bool,
) -> anyhow::Result<()> {
    let (tokens, first_position) = (&asked.tokens, asked.positions.start);
    let tuned = asked.tuned.as_ref().and_then(LensInUse::report);
    if !json {
        let judged = tuned.as_ref().map_or(String::new(), TunedReport::table);
        return output::text(
            &(judged + &table(&loaded.session, tokens, first_position, layers) + &output::finding(&finding)),
        );
    }
    let texts = tokens.iter().map(|&token| loaded.session.tokenizer.token_text(token)).collect();
    let (backend, adapter) = (loaded.backend(), loaded.adapter());
    output::json(&Report { tokens, texts, first_position, layers, tuned, finding, backend, adapter })
}

/// A line for each layer: the last first, as the lens is usually drawn.
fn table(session: &Session, tokens: &[u32], position: usize, layers: &[LensLayer]) -> String {
    let shown = |token: u32| format!("{:?}", session.tokenizer.token_text(token));
    let percent = |log_prob: f64| format!("{:.1} %", 100.0 * log_prob.exp());
    let ranked =
        |found: &RankedToken| format!("{} {} (rank {})", shown(found.token), percent(found.log_prob), found.rank);
    let mut table = format!("after token {position}, {}\n", shown(tokens[position]));
    for LensLayer { site, cells } in layers {
        let Some(cell) = cells.first() else { continue };
        let place = match site {
            Site::ResidPost(layer) => format!("after block {layer}"),
            _ => "embedding".into(),
        };
        let top: Vec<_> = cell.top.iter().map(|t| format!("{} {}", shown(t.token), percent(t.log_prob))).collect();
        let followed: Vec<String> = cell.next.iter().chain(&cell.watched).map(ranked).collect();
        let followed = if followed.is_empty() { String::new() } else { format!("   | {}", followed.join(", ")) };
        // Writing to a string does not fail.
        let _ = writeln!(table, "{place:>14}  {:5.2} nats  {}{followed}", cell.entropy, top.join(", "));
    }
    table
}
