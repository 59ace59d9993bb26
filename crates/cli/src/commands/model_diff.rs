//! `tiller model-diff`: what one checkpoint has become of another, as a vector.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::patching_flags::{control_seeds, prompt};
use crate::{output, texts_file, vector_output};
use anyhow::bail;
use clap::{Args, value_parser};
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;
use tiller_experiment::{ControlVectorFile, VectorAtLayer};
use tiller_interp::evidence::Estimate;
use tiller_interp::steer::{DifferencePlan, ModelDifference, model_difference};
use tiller_recipe::Prompt;

#[derive(Args)]
pub struct Flags {
    /// The base checkpoint, to which the vector is added: a GGUF file, a folder with config.json and safetensors, or
    /// owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// The checkpoint that it has become, of the same shape and vocabulary.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    tuned: ModelSource,
    /// Prompts, one on each line, as in {"text": ".."} or {"turns": [..]}. Every other one makes the vector; what is
    /// reported is of the rest.
    #[arg(long, value_name = "FILE.jsonl")]
    prompts: PathBuf,
    /// Put texts among the prompts into the base model's chat template, as a user's messages.
    #[arg(long)]
    chat: bool,
    /// The blocks after which to compare, from 0 [default: every third].
    #[arg(long, value_name = "0,1,..", value_delimiter = ',')]
    layers: Option<Vec<u32>>,
    /// How strongly, in multiples of the difference itself.
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    strength: f32,
    /// Random directions beside it.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u8).range(1..=64))]
    controls: u8,
    /// Where to write the vectors: a GGUF control vector, or safetensors where the name ends so.
    #[arg(long, value_name = "FILE.gguf|FILE.safetensors")]
    out: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    base: &'a str,
    tuned: &'a str,
    strength: f32,
    #[serde(flatten)]
    found: &'a ModelDifference,
    backend: &'static str,
    adapter: String,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    if !flags.strength.is_finite() {
        bail!("the strength {} is no number that a vector can be multiplied by: give a finite one", flags.strength);
    }
    let given = texts_file::read(&flags.prompts)?;
    let mut base = flags.device.load(&flags.model).await?;
    let mut tuned = flags.device.load(&flags.tuned).await?;
    let tokens = |text: texts_file::GivenText| {
        let asked = match text.prompt {
            Prompt::Text(text) => prompt(text, flags.chat),
            turns => turns,
        };
        anyhow::Ok(base.session.tokens(&asked)?)
    };
    let prompts = given.into_iter().map(tokens).collect::<anyhow::Result<Vec<_>>>()?;
    let blocks = base.session.engine.config().layers;
    let neutral = base.session.neutral()?;
    let plan = DifferencePlan {
        prompts: &prompts,
        layers: &flags.layers.unwrap_or_else(|| (0..blocks).step_by(3).collect()),
        strength: flags.strength,
        neutral: &neutral,
        seeds: &control_seeds(flags.controls),
    };
    let found = model_difference(&mut base.session.engine, &mut tuned.session.engine, &plan, &(), |_, _| {}).await?;
    if let Some(out) = &flags.out {
        let at_layer = |at: &tiller_interp::steer::DifferenceAtLayer| VectorAtLayer {
            layer: at.made.layer,
            direction: at.made.direction.clone(),
            norm: at.made.norm,
            typical_norm: at.made.typical_norm,
        };
        let layers = found.layers.iter().map(at_layer).collect();
        let file = ControlVectorFile { method: "model-difference".into(), layers };
        vector_output::save(out, &file, &format!("{} less {}", tuned.file, base.file), &base)?;
    }
    if !flags.json {
        return output::text(&table(&found));
    }
    output::json(&Report {
        base: &base.file,
        tuned: &tuned.file,
        strength: flags.strength,
        found: &found,
        backend: base.backend(),
        adapter: base.adapter(),
    })
}

fn table(found: &ModelDifference) -> String {
    let nats = |estimate: &Estimate| match estimate.interval {
        Some((low, high)) => format!("{:.3} [{low:.3}, {high:.3}]", estimate.mean),
        None => format!("{:.3}", estimate.mean),
    };
    let plain = nats(&found.divergence_plain);
    let mut table =
        format!("How far the base's next token is from the tuned one's, in nats; without a vector {plain}\n");
    table += "layer   length   of the stream   shared   with it                  random (least)   perplexity\n";
    for at in &found.layers {
        let random = at.random.iter().copied().fold(f64::INFINITY, f64::min);
        let added = 100.0 * (at.perplexity / found.perplexity_plain - 1.0);
        let mark = if found.best == Some(at.made.layer) { "   nearest" } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "{:5} {:>8.2} {:>13.0} % {:>6.0} %   {:24} {random:>14.3} {added:>+10.0} %{mark}",
            at.made.layer,
            at.made.norm,
            100.0 * at.made.norm / at.made.typical_norm.max(f32::MIN_POSITIVE),
            100.0 * at.shared,
            nats(&at.divergence),
        );
    }
    if let Some(gained) = found.gained {
        let _ = writeln!(table, "At the nearest layer the vector takes away {} nats.", nats(&gained));
    }
    table
}
