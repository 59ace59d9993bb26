//! `tiller sae contrast`: the features in which two texts differ.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::output;
use crate::patching_flags::{control_seeds, prompt};
use crate::sae_flags::SaeFlags;
use clap::Args;
use std::fmt::Write;
use tiller_interp::sae::sae_contrast;

/// Random deals of the tokens to the two texts.
const CONTROLS: u32 = 20;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    #[command(flatten)]
    sae: SaeFlags,
    /// One text.
    #[arg(long, value_name = "TEXT")]
    a: String,
    /// The other.
    #[arg(long, value_name = "TEXT")]
    b: String,
    /// Take the texts as a user's messages, in the model's chat template.
    #[arg(long)]
    chat: bool,
    /// How many features to name.
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let mut loaded = flags.device.load(&flags.model).await?;
    let opened = flags.sae.open(&loaded).await?;
    let session = &mut loaded.session;
    let a = session.tokens(&prompt(flags.a, flags.chat))?;
    let b = session.tokens(&prompt(flags.b, flags.chat))?;
    let placed = opened.place.of(&opened.sae);
    let seeds = control_seeds(CONTROLS);
    let found = sae_contrast(&mut session.engine, &placed, [&a, &b], flags.top, &seeds, &(), |_, _| {}).await?;
    if flags.json {
        return output::json(&found);
    }
    let mut text = String::from("feature    mean in a   mean in b   difference\n");
    for feature in &found.features {
        let (a, b, difference) = (feature.mean_a, feature.mean_b, feature.difference);
        // Writing to a string does not fail.
        let _ = writeln!(text, "{:>7}   {a:>10.3}  {b:>10.3}   {difference:>+10.3}", feature.feature);
    }
    let chance = found.shuffled_largest.iter().copied().fold(0.0, f64::max);
    let _ = writeln!(text, "Of tokens dealt to the two texts at random, {CONTROLS} times, the largest: {chance:.3}");
    output::text(&text)
}
