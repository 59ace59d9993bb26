//! `tiller run`: runs a shared experiment, plain and steered side by side.

use super::generate;
use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::{output, recipe_file};
use clap::Args;
use serde::Serialize;
use std::time::Instant;
use tiller_engine::LaneEnd;
use tiller_interp::evidence::{self, CONTROL_SEEDS, Evidence, Measurement, NEUTRAL_TEXT};
use tiller_recipe::Prompt;

#[derive(Args)]
pub struct Flags {
    /// A recipe's JSON file, or a link.
    #[arg(value_name = "RECIPE.json|LINK")]
    recipe: String,
    /// Another place to take the model from: a GGUF file, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: Option<ModelSource>,
    /// Measure what the edits do and what they cost, beside random directions of equal norm.
    #[arg(long)]
    evidence: bool,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    model: String,
    prompt_tokens: Vec<u32>,
    plain: Text,
    steered: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence>,
    backend: &'static str,
    adapter: String,
}

#[derive(Serialize)]
struct Text {
    tokens: Vec<u32>,
    text: String,
    end: &'static str,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let recipe = recipe_file::read(&flags.recipe)?;
    let model = flags.model.unwrap_or_else(|| ModelSource::Hub(recipe.model.clone()));
    let mut loaded = flags.device.load(&model).await?;
    if let Some(backend) = recipe.backend.as_deref().filter(|&backend| backend != loaded.backend()) {
        eprintln!(
            "tiller: this experiment was written on {backend} and runs on {}: tokens may differ",
            loaded.backend()
        );
    }

    let edits = loaded.session.resolve_edits(&recipe.vectors, &recipe.edits, &()).await?;
    let prompt_tokens = loaded.session.tokens(&recipe.prompt)?;
    let what = loaded.session.generation(
        prompt_tokens.clone(),
        edits.clone(),
        &[false, true],
        recipe.sampling,
        recipe.max_tokens,
    );
    let begun = Instant::now();
    let (lanes, _) = loaded.session.engine.generate(&what, &(), || begun.elapsed().as_secs_f64(), |_| {}).await?;
    let evidence = match flags.evidence {
        true => {
            let neutral = loaded.session.tokens(&Prompt::Text(NEUTRAL_TEXT.into()))?;
            let what = Measurement { edits: &edits, prompt: &prompt_tokens, neutral: &neutral, seeds: &CONTROL_SEEDS };
            Some(evidence::measure(&mut loaded.session.engine, &what, &(), |_, _| {}).await?)
        }
        false => None,
    };

    let mut texts = lanes.into_iter().map(|lane| Text {
        text: generate::text(&loaded.session.tokenizer, &lane.tokens),
        tokens: lane.tokens,
        end: end_name(lane.end),
    });
    let (Some(plain), Some(steered)) = (texts.next(), texts.next()) else {
        unreachable!("a generation returns as many lanes as it was given")
    };
    drop(texts);
    if !flags.json {
        return output::text(&page(&plain, &steered, evidence.as_ref()));
    }
    output::json(&Report {
        model: loaded.file.clone(),
        prompt_tokens,
        plain,
        steered,
        evidence,
        backend: loaded.backend(),
        adapter: loaded.adapter(),
    })
}

fn end_name(end: LaneEnd) -> &'static str {
    match end {
        LaneEnd::EndToken => "end-token",
        LaneEnd::MaxTokens => "max-tokens",
        LaneEnd::ContextFull => "context-full",
        LaneEnd::Stopped => "stopped",
    }
}

/// The result for people.
fn page(plain: &Text, steered: &Text, evidence: Option<&Evidence>) -> String {
    let mut page = format!("plain\n{}\n\nsteered\n{}\n", plain.text, steered.text);
    if let Some(evidence) = evidence {
        let list = |values: &[f64]| values.iter().map(|value| format!("{value:.3}")).collect::<Vec<_>>().join(", ");
        let Evidence { shift, perplexity_plain, perplexity, .. } = evidence;
        page += &format!("\nnext-token shift   {:.3} nats (random: {})\n", shift.value, list(&shift.random));
        page += &format!(
            "neutral perplexity {perplexity_plain:.2} plain, {:.2} steered (random: {})\n",
            perplexity.value,
            list(&perplexity.random),
        );
    }
    page
}
