//! `tiller sae feature`: what one feature writes.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::output;
use crate::patching_flags::control_seeds;
use crate::sae_flags::SaeFlags;
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use tiller_interp::neurons::WrittenToken;
use tiller_interp::sae::{FeatureLogits, NearFeature, feature_logits, nearest_features};

/// Random directions beside the feature's.
const CONTROLS: u32 = 8;

#[derive(Args)]
pub struct Flags {
    /// The feature, by its number from 0.
    feature: usize,
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    #[command(flatten)]
    sae: SaeFlags,
    /// How many tokens, and features, to name.
    #[arg(long, value_name = "N", default_value_t = 10)]
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
    #[serde(flatten)]
    logits: &'a FeatureLogits,
    /// The tokens of `raises` and of `lowers`, spelt.
    raises_texts: Vec<String>,
    lowers_texts: Vec<String>,
    near: &'a [NearFeature],
    notes: &'a [String],
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let mut loaded = flags.device.load(&flags.model).await?;
    let opened = flags.sae.open(&loaded).await?;
    let placed = opened.place.of(&opened.sae);
    let seeds = control_seeds(CONTROLS);
    let engine = &mut loaded.session.engine;
    let logits = feature_logits(engine, &placed, flags.feature, flags.top, &seeds, &()).await?;
    let near = nearest_features(&opened.sae, flags.feature, flags.top)?;
    let spelt = |tokens: &[WrittenToken]| -> Vec<String> {
        tokens.iter().map(|found| loaded.session.tokenizer.token_text(found.token)).collect()
    };
    let (raises_texts, lowers_texts) = (spelt(&logits.raises), spelt(&logits.lowers));
    if flags.json {
        let site = opened.place.site.to_string();
        let notes = &opened.place.notes;
        return output::json(&Report { site, logits: &logits, raises_texts, lowers_texts, near: &near, notes });
    }
    let mut text = format!(
        "feature {} at {}: its direction alone in the residual stream, through the final norm and the unembedding\n",
        flags.feature,
        placed.target()
    );
    let largest = |numbers: &[f32]| numbers.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    for (what, tokens, texts, random) in [
        ("raises", &logits.raises, &raises_texts, largest(&logits.random_largest)),
        ("lowers", &logits.lowers, &lowers_texts, largest(&logits.random_smallest)),
    ] {
        let named: Vec<String> =
            tokens.iter().zip(texts).map(|(found, text)| format!("{text:?} {:+.2}", found.logit)).collect();
        // Writing to a string does not fail.
        let _ =
            writeln!(text, "{what}: {}\n        ({CONTROLS} random directions: {random:.2} at most)", named.join(", "));
    }
    let near: Vec<String> = near.iter().map(|near| format!("{} ({:.2})", near.feature, near.cosine)).collect();
    let _ = writeln!(text, "points the way of: {}", near.join(", "));
    output::text(&text)
}
