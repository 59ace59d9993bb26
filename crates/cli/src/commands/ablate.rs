//! `tiller ablate`: every head and MLP taken away, one at a time.

use crate::loaded::{DeviceFlags, Loaded};
use crate::model_file::ModelSource;
use crate::output;
use crate::patching_flags::{AnswerFlags, control_seeds};
use crate::prompt_flags::PromptFlags;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::fmt::Write;
use tiller_interp::patch::{
    Ablation, AblationBaseline, AblationLayer, AblationStep, Effect, Metric, Replacement, ablation_sweep,
};
use tiller_recipe::Prompt;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    #[command(flatten)]
    prompt: PromptFlags,
    #[command(flatten)]
    answer: AnswerFlags,
    /// What a part gives once it is taken away: zeros, or its mean over neutral text.
    #[arg(long, value_enum, default_value = "zero")]
    by: By,
    /// A neutral text, for means and perplexity; may be given again [default: a paragraph about granite].
    #[arg(long, value_name = "TEXT")]
    neutral: Vec<String>,
    /// Do not measure the neutral texts' perplexity: many times faster.
    #[arg(long)]
    without_cost: bool,
    /// Random controls of each layer.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    controls: u8,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    Zero,
    Mean,
}

#[derive(Serialize)]
struct Report<'a> {
    tokens: &'a [u32],
    metric: Metric,
    by: Replacement,
    baseline: AblationBaseline,
    layers: &'a [AblationLayer],
    backend: &'static str,
    adapter: String,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let prompt = flags.prompt.given(None)?;
    let mut loaded = flags.device.load(&flags.model).await?;
    let session = &loaded.session;
    let metric = flags.answer.metric(session)?;
    let tokens = prompt.tokens(session)?;
    let neutral = match flags.neutral.is_empty() {
        true => vec![session.neutral()?],
        false => {
            let tokens = flags.neutral.into_iter().map(|text| session.tokens(&Prompt::Text(text)));
            tokens.collect::<Result<Vec<_>, _>>()?
        }
    };
    let what = Ablation {
        prompt: &tokens,
        metric,
        neutral: &neutral,
        replacement: match flags.by {
            By::Zero => Replacement::Zero,
            By::Mean => Replacement::Mean,
        },
        seeds: &control_seeds(flags.controls),
        with_cost: !flags.without_cost,
    };
    run_on(&mut loaded, &what, flags.json).await
}

/// Ablates, and prints what is lost.
pub async fn run_on(loaded: &mut Loaded, what: &Ablation<'_>, json: bool) -> anyhow::Result<()> {
    let (mut baseline, mut layers) = (None, Vec::new());
    let sink = |step| match step {
        AblationStep::Baseline(found) => baseline = Some(found),
        AblationStep::Layer(layer) => layers.push(layer),
    };
    ablation_sweep(&mut loaded.session.engine, what, &(), |_, _| {}, sink).await?;
    let baseline = baseline.expect("the baseline comes first");
    if !json {
        return output::text(&table(what.metric, &baseline, &layers));
    }
    let (backend, adapter) = (loaded.backend(), loaded.adapter());
    let (tokens, metric, by) = (what.prompt, what.metric, what.replacement);
    output::json(&Report { tokens, metric, by, baseline, layers: &layers, backend, adapter })
}

/// A line for each layer: what each head and the MLP change, then the largest that random units of the layer change.
fn table(metric: Metric, baseline: &AblationBaseline, layers: &[AblationLayer]) -> String {
    let mut table = format!("{} {:.3}", metric.name(), baseline.metric);
    if let Some(perplexity) = baseline.perplexity {
        // Writing to a string does not fail.
        let _ = write!(table, ", perplexity of neutral text {perplexity:.2}");
    }
    table.push_str("\nwhat each ablation adds to it (and the factor of the perplexity)\n");
    let shown = |effect: &Effect| match effect.perplexity {
        Some(factor) => format!("{:+.2} (x{factor:.2})", effect.metric),
        None => format!("{:+.2}", effect.metric),
    };
    let largest = |controls: &[Effect]| {
        let by_size = |a: &&Effect, b: &&Effect| a.metric.abs().total_cmp(&b.metric.abs());
        controls.iter().max_by(by_size).map_or(String::from("none"), shown)
    };
    for AblationLayer { layer, heads, head_controls, mlp, mlp_controls } in layers {
        let heads: Vec<String> = heads.iter().map(shown).collect();
        let _ = writeln!(
            table,
            "layer {layer:>2}  heads {}  random units {}  | MLP {}  random direction {}",
            heads.join(" "),
            largest(head_controls),
            shown(mlp),
            largest(mlp_controls)
        );
    }
    table
}
