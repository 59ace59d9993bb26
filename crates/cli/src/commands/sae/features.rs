//! `tiller sae features`: the features of a text.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::output;
use crate::prompt_flags::PromptFlags;
use crate::sae_flags::SaeFlags;
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use tiller_interp::sae::{FeatureReading, TextFeatures, text_features};

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
    #[arg(long, value_name = "N", default_value_t = 5)]
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
    notes: &'a [String],
    backend: &'static str,
    adapter: String,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let prompt = flags.prompt.given(None)?;
    let mut loaded = flags.device.load(&flags.model).await?;
    let opened = flags.sae.open(&loaded).await?;
    let tokens = prompt.tokens(&loaded.session)?;
    let what = FeatureReading { tokens: &tokens, top: flags.top, followed: flags.top, edits: &[] };
    let placed = opened.place.of(&opened.sae);
    let found = text_features(&mut loaded.session.engine, &placed, &what, &(), |_, _| {}).await?;
    let texts: Vec<String> = tokens.iter().map(|&token| loaded.session.tokenizer.token_text(token)).collect();
    if !flags.json {
        return output::text(&table(&texts, &found));
    }
    output::json(&Report {
        site: opened.place.site.to_string(),
        tokens: &tokens,
        texts: &texts,
        found: &found,
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
