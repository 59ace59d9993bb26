//! `tiller attribute`: direct logit attribution.

use crate::loaded::{DeviceFlags, Loaded};
use crate::model_file::ModelSource;
use crate::output;
use crate::prompt_flags::PromptFlags;
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use tiller_experiment::finding;
use tiller_interp::attribution::{Attribution, Component, direct_logit_attribution};
use tiller_recipe::Finding;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    #[command(flatten)]
    prompt: PromptFlags,
    /// The token that is right, spelt with its space, as in " Mary".
    #[arg(long, value_name = "TOKEN")]
    answer: String,
    /// The token that is wrong.
    #[arg(long, value_name = "TOKEN")]
    wrong: String,
    /// How many parts to print, the largest first.
    #[arg(long, value_name = "N", default_value_t = TOP)]
    top: usize,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object, of all parts.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    tokens: &'a [u32],
    answer: u32,
    wrong: u32,
    #[serde(flatten)]
    attribution: &'a Attribution,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<Finding>,
    backend: &'static str,
    adapter: String,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let prompt = flags.prompt.given(None)?;
    let mut loaded = flags.device.load(&flags.model).await?;
    let (answer, wrong) = (loaded.session.one_token(&flags.answer)?, loaded.session.one_token(&flags.wrong)?);
    let tokens = prompt.tokens(&loaded.session)?;
    run_on(&mut loaded, &tokens, [answer, wrong], flags.top, false, flags.json).await
}

/// Takes a logit difference apart, and prints it; `with_finding`, what it shows too.
pub async fn run_on(
    loaded: &mut Loaded,
    tokens: &[u32],
    [answer, wrong]: [u32; 2],
    top: usize,
    with_finding: bool,
    json: bool,
) -> anyhow::Result<()> {
    let engine = &mut loaded.session.engine;
    let attribution = direct_logit_attribution(engine, tokens, answer, wrong, &(), |_, _| {}).await?;
    let finding = if with_finding { finding::of_attribution(&attribution) } else { None };
    if !json {
        return output::text(&(table(&attribution, top) + &output::finding(&finding)));
    }
    let (backend, adapter) = (loaded.backend(), loaded.adapter());
    output::json(&Report { tokens, answer, wrong, attribution: &attribution, finding, backend, adapter })
}

/// How many parts are printed where nothing else is asked for.
pub const TOP: usize = 20;

fn table(attribution: &Attribution, top: usize) -> String {
    let mut shares = attribution.shares.clone();
    shares.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
    let mut table =
        format!("logit difference {:.3}, as a sum of {} parts\n", attribution.logit_difference, shares.len());
    for share in shares.iter().take(top) {
        // Writing to a string does not fail.
        let _ = writeln!(table, "{:>24}  {:+.3}", name(share.component), share.value);
    }
    if let Some(rest) = shares.get(top..).filter(|rest| !rest.is_empty()) {
        let sum: f64 = rest.iter().map(|share| share.value).sum();
        let _ = writeln!(table, "{:>24}  {sum:+.3}", format!("{} smaller ones", rest.len()));
    }
    table
}

fn name(component: Component) -> String {
    match component {
        Component::Embedding => "embedding".into(),
        Component::Head { layer, head } => format!("layer {layer} head {head}"),
        Component::AttentionBias { layer } => format!("layer {layer} attention bias"),
        Component::Attention { layer } => format!("layer {layer} attention"),
        Component::Mlp { layer } => format!("layer {layer} MLP"),
        Component::FinalNormBias => "final norm's bias".into(),
    }
}
