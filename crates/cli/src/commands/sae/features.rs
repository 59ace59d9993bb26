//! `tiller sae features`: the features of a text.

use crate::loaded::{DeviceFlags, Loaded};
use crate::model_file::ModelSource;
use crate::output;
use crate::prompt_flags::PromptFlags;
use crate::sae_flags::{OpenSae, SaeFlags};
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use tiller_experiment::finding;
use tiller_interp::sae::{FeatureReading, TextFeatures, text_features};
use tiller_recipe::Finding;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    #[command(flatten)]
    sae: SaeFlags,
    #[command(flatten)]
    prompt: PromptFlags,
    /// How many of each token's strongest features to name, and of the text's to follow.
    #[arg(long, value_name = "N", default_value_t = TOP)]
    top: usize,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    site: String,
    tokens: &'a [u32],
    texts: &'a [String],
    found: &'a TextFeatures,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<Finding>,
    notes: &'a [String],
    backend: &'static str,
    adapter: String,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let prompt = flags.prompt.given(None)?;
    let mut loaded = flags.device.load(&flags.model).await?;
    let opened = flags.sae.open(&loaded).await?;
    let tokens = prompt.tokens(&loaded.session)?;
    run_on(&mut loaded, &opened, &tokens, flags.top, None, None, flags.json).await
}

/// Features that are named where nothing else is asked for.
pub const TOP: usize = 5;

/// Reads a text's features and prints them, with `found_before`, or else where `looked_at` fires.
pub async fn run_on(
    loaded: &mut Loaded,
    opened: &OpenSae,
    tokens: &[u32],
    top: usize,
    looked_at: Option<u32>,
    found_before: Option<Finding>,
    json: bool,
) -> anyhow::Result<()> {
    // The feature that is looked at may be any of them.
    let followed = if looked_at.is_some() { opened.sae.d_sae } else { top };
    let what = FeatureReading { tokens, top, followed, edits: &[] };
    let placed = opened.place.of(&opened.sae);
    let mut found = text_features(&mut loaded.session.engine, &placed, &what, &(), |_, _| {}).await?;
    let texts: Vec<String> = tokens.iter().map(|&token| loaded.session.tokenizer.token_text(token)).collect();
    let of_feature = || looked_at.map(|feature| finding::of_feature(feature, &found, &texts));
    let finding = found_before.or_else(of_feature);
    found.features.truncate(top);
    if !json {
        return output::text(&(table(&texts, &found) + &output::finding(&finding)));
    }
    output::json(&Report {
        site: opened.place.site.to_string(),
        tokens,
        texts: &texts,
        found: &found,
        finding,
        notes: &opened.place.notes,
        backend: loaded.backend(),
        adapter: loaded.adapter(),
    })
}

/// A line for each token, then one for each of the text's strongest features.
fn table(texts: &[String], found: &TextFeatures) -> String {
    let shown: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    let width = shown.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    let mut table = String::new();
    for (position, (text, token)) in shown.iter().zip(&found.tokens).enumerate() {
        let top: Vec<String> = token.top.iter().map(|f| format!("{}: {:.2}", f.feature, f.value)).collect();
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "{position:>4}  {text:width$}  {:>4} active, {:>3.0} % left out   {}",
            token.active,
            100.0 * token.error,
            top.join("   ")
        );
    }
    table += "\nStrongest after the first token:\n";
    for feature in &found.features {
        let at = &shown[feature.at as usize];
        let _ = writeln!(table, "feature {:>6}  {:.2} at {}, {at}", feature.feature, feature.max, feature.at);
    }
    table
}
