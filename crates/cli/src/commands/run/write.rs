//! What a shared experiment writes, plain and steered side by side, and what its vector does.

use super::super::generate;
use super::feature_change;
use crate::loaded::Loaded;
use crate::{output, pairs_file, sae_flags};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;
use tiller_engine::LaneEnd;
use tiller_experiment::finding;
use tiller_interp::evidence::{self, CONTROL_SEEDS, Evidence, Measurement};
use tiller_interp::steer::{GRID_FEWEST_PAIRS, GridPlan, VectorMethod, grid};
use tiller_recipe::{Finding, Recipe};

#[derive(Serialize)]
struct Report {
    model: String,
    prompt_tokens: Vec<u32>,
    plain: Text,
    steered: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<Finding>,
    backend: &'static str,
    adapter: String,
}

#[derive(Serialize)]
struct Text {
    tokens: Vec<u32>,
    text: String,
    end: &'static str,
}

pub async fn run(
    loaded: &mut Loaded,
    recipe: &Recipe,
    with_evidence: bool,
    sae: Option<PathBuf>,
    json: bool,
) -> anyhow::Result<()> {
    let edits = sae_flags::resolve_edits(loaded, recipe, sae.clone()).await?;
    let session = &mut loaded.session;
    let prompt_tokens = session.tokens(&recipe.prompt)?;
    let sampling = recipe.sampling;
    let what = session.generation(prompt_tokens.clone(), edits.clone(), &[false, true], sampling, recipe.max_tokens);
    let begun = Instant::now();
    let (lanes, _) = session.engine.generate(&what, &(), || begun.elapsed().as_secs_f64(), |_| {}).await?;
    let (evidence, finding) = match with_evidence {
        true => {
            let neutral = session.neutral()?;
            let what = Measurement { edits: &edits, prompt: &prompt_tokens, neutral: &neutral, seeds: &CONTROL_SEEDS };
            let measured = evidence::measure(&mut session.engine, &what, &(), |_, _| {}).await?;
            let finding = match on_held_out_pairs(loaded, recipe).await? {
                Some(finding) => Some(finding),
                None => feature_change::found(loaded, recipe, &edits, sae.as_deref()).await?,
            };
            (Some(measured), finding)
        }
        false => (None, None),
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
    if !json {
        return output::text(&(page(&plain, &steered, evidence.as_ref()) + &output::finding(&finding)));
    }
    output::json(&Report {
        model: loaded.file.clone(),
        prompt_tokens,
        plain,
        steered,
        evidence,
        finding,
        backend: loaded.backend(),
        adapter: loaded.adapter(),
    })
}

/// The effect at the recipe's layer and strength of a vector made, as the recipe's was, of half of its pairs, on the other
/// half. `None` where the recipe adds no vector that was made of enough pairs.
async fn on_held_out_pairs(loaded: &mut Loaded, recipe: &Recipe) -> anyhow::Result<Option<Finding>> {
    let steers = |edit: &&tiller_recipe::Edit| edit.is_plain_addition() && edit.strength > 0.0;
    let Some(edit) = recipe.edits.iter().find(steers) else { return Ok(None) };
    let Some(vector) = edit.source.vector().and_then(|index| recipe.vectors.get(index)) else { return Ok(None) };
    let Ok(method) = vector.method.parse::<VectorMethod>() else { return Ok(None) };
    if recipe.pairs.len() < GRID_FEWEST_PAIRS {
        return Ok(None);
    }
    let session = &mut loaded.session;
    let plan = GridPlan {
        method,
        pairs: &pairs_file::tokens(&recipe.pairs, session)?,
        layers: &[vector.layer],
        strengths: &[edit.strength],
        neutral: &session.neutral()?,
        most_cost: f64::INFINITY,
        seeds: &CONTROL_SEEDS,
    };
    let found = grid(&mut session.engine, &plan, &(), |_, _| {}, |_| {}).await?;
    Ok(Some(finding::of_steering(&found)))
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
