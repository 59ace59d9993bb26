//! `tiller patch`: activation patching between two prompts.

use crate::loaded::{DeviceFlags, Loaded};
use crate::model_file::ModelSource;
use crate::output;
use crate::patching_flags::{AnswerFlags, control_seeds, prompt};
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use tiller_engine::{PatchDirection, PatchPlace};
use tiller_experiment::{Session, finding};
use tiller_interp::patch::{Metric, PatchBaseline, PatchCell, PatchStep, Patching, activation_patching};
use tiller_recipe::Finding;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// The prompt after which the answer is right.
    #[arg(long, value_name = "TEXT")]
    clean: String,
    /// A prompt of as many tokens that differs in what the answer depends on.
    #[arg(long, value_name = "TEXT")]
    corrupt: String,
    /// Take the texts as a user's message, in the model's chat template.
    #[arg(long)]
    chat: bool,
    #[command(flatten)]
    answer: AnswerFlags,
    /// What is patched, by layer: resid-pre, attn-out, resid-mid, mlp-out or resid-post at each token; heads at every
    /// token, or heads-at-last.
    #[arg(long, value_name = "PLACE", default_value = "resid-post")]
    site: PatchPlace,
    /// denoise puts the clean run's activations into the corrupt run, noise the other way round.
    #[arg(long, value_name = "DIRECTION", default_value = "denoise")]
    direction: PatchDirection,
    /// Random controls of each cell: as long a step in a random direction.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    controls: u8,
    /// A text of as many tokens whose activations serve as one more control; may be given again.
    #[arg(long, value_name = "TEXT")]
    unrelated: Vec<String>,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    clean_tokens: &'a [u32],
    corrupt_tokens: &'a [u32],
    clean_texts: Vec<String>,
    corrupt_texts: Vec<String>,
    metric: Metric,
    site: PatchPlace,
    direction: PatchDirection,
    baseline: PatchBaseline,
    cells: Vec<ReportedCell<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<Finding>,
    backend: &'static str,
    adapter: String,
}

#[derive(Serialize)]
struct ReportedCell<'a> {
    #[serde(flatten)]
    cell: &'a PatchCell,
    /// The largest size of a control's effect.
    band: f64,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let mut loaded = flags.device.load(&flags.model).await?;
    let session = &loaded.session;
    let metric = flags.answer.metric(session)?;
    let [clean, corrupt] =
        session.equal_tokens(&prompt(flags.clean, flags.chat), &prompt(flags.corrupt, flags.chat))?;
    let unrelated = flags.unrelated.into_iter().map(|text| session.tokens(&prompt(text, flags.chat)));
    let unrelated = unrelated.collect::<Result<Vec<_>, _>>()?;
    let what = Patching {
        clean: &clean,
        corrupt: &corrupt,
        metric,
        place: flags.site,
        direction: flags.direction,
        seeds: &control_seeds(flags.controls),
        unrelated: &unrelated,
    };
    run_on(&mut loaded, &what, false, flags.json).await
}

/// Patches, and prints the map; `with_finding`, what it shows too.
pub async fn run_on(loaded: &mut Loaded, what: &Patching<'_>, with_finding: bool, json: bool) -> anyhow::Result<()> {
    let session = &mut loaded.session;
    let (mut baseline, mut cells) = (None, Vec::new());
    let sink = |step| match step {
        PatchStep::Baseline(found) => baseline = Some(found),
        PatchStep::Cell(cell) => cells.push(cell),
    };
    activation_patching(&mut session.engine, what, &(), |_, _| {}, sink).await?;
    let baseline = baseline.expect("the baseline comes first");
    cells.sort_by_key(|cell| (cell.layer, cell.column));
    let column = |column: u32| format!("{:?}", session.tokenizer.token_text(what.clean[column as usize]));
    let finding = if with_finding { finding::of_patching(what.place, &baseline, &cells, column) } else { None };
    if !json {
        return output::text(&(table(session, what, &baseline, &cells) + &output::finding(&finding)));
    }
    let texts = |tokens: &[u32]| tokens.iter().map(|&token| session.tokenizer.token_text(token)).collect();
    let (clean_texts, corrupt_texts) = (texts(what.clean), texts(what.corrupt));
    output::json(&Report {
        clean_tokens: what.clean,
        corrupt_tokens: what.corrupt,
        clean_texts,
        corrupt_texts,
        metric: what.metric,
        site: what.place,
        direction: what.direction,
        baseline,
        cells: cells.iter().map(|cell| ReportedCell { cell, band: cell.band() }).collect(),
        finding,
        backend: loaded.backend(),
        adapter: loaded.adapter(),
    })
}

/// A line for each layer, the last first, a column for each position or head: the effect, in brackets where it is within
/// its controls.
fn table(session: &Session, what: &Patching<'_>, baseline: &PatchBaseline, cells: &[PatchCell]) -> String {
    let shown = |token: u32| format!("{:?}", session.tokenizer.token_text(token));
    let mut table = format!(
        "{}: {:.3} after the clean prompt, {:.3} after the corrupt one\neffects as shares of the difference; (in \
         brackets) no larger than the largest control's\n",
        what.metric.name(),
        baseline.clean,
        baseline.corrupt
    );
    let columns: Vec<u32> = match what.place.is_by_head() {
        true => (0..baseline.columns).collect(),
        false => (baseline.first_difference..baseline.columns).collect(),
    };
    let head = |&column: &u32| match what.place.is_by_head() {
        true => format!("head {column}"),
        false => {
            let [clean, corrupt] = [what.clean, what.corrupt].map(|tokens| tokens[column as usize]);
            if clean == corrupt { shown(clean) } else { format!("{}|{}", shown(clean), shown(corrupt)) }
        }
    };
    let heads: Vec<String> = columns.iter().map(head).collect();
    let widths: Vec<usize> = heads.iter().map(|head| head.chars().count().max(8)).collect();
    let line = |name: &str, cells: Vec<String>| {
        let cells: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        format!("{name:>8}  {}\n", cells.join(" "))
    };
    table.push_str(&line("layer", heads.clone()));
    for layer in (0..baseline.layers).rev() {
        let of_layer = cells.iter().filter(|cell| cell.layer == layer);
        let effect = |cell: &PatchCell| match cell.effect.abs() > cell.band() {
            true => format!("{:.3}", cell.effect),
            false => format!("({:.3})", cell.effect),
        };
        // Writing to a string does not fail.
        let _ = write!(table, "{}", line(&layer.to_string(), of_layer.map(effect).collect()));
    }
    table
}
