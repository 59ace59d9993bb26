//! `tiller sae ablate`: what the model loses without a feature.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::output;
use crate::patching_flags::control_seeds;
use crate::sae_flags::SaeFlags;
use crate::texts_file;
use clap::{Args, value_parser};
use std::fmt::Write;
use std::path::PathBuf;
use tiller_interp::evidence::Estimate;
use tiller_interp::sae::{FeatureAblation, feature_ablation};

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    #[command(flatten)]
    sae: SaeFlags,
    /// The features, each taken away by itself.
    #[arg(long, value_name = "N,N,..", value_delimiter = ',', required = true)]
    features: Vec<u32>,
    /// Texts, one on each line: {"text": ".."}, or {"turns": [{"role": "user", ..}]}.
    #[arg(long, value_name = "FILE.jsonl")]
    texts: PathBuf,
    /// Stop after about as many tokens.
    #[arg(long, value_name = "N", default_value_t = 4000)]
    tokens: usize,
    /// Cut texts after as many tokens.
    #[arg(long, value_name = "N", default_value_t = 128)]
    longest: usize,
    /// Texts in which a feature is taken away: those in which it is strongest.
    #[arg(long, value_name = "N", default_value_t = 8)]
    passages: usize,
    /// Random features beside each.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u8).range(1..=30))]
    controls: u8,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let given = texts_file::read(&flags.texts)?;
    let mut loaded = flags.device.load(&flags.model).await?;
    let opened = flags.sae.open(&loaded).await?;
    let texts = texts_file::tokens(&given, &loaded.session, flags.tokens, flags.longest)?;
    let seeds = control_seeds(flags.controls);
    let what = FeatureAblation { texts: &texts, passages: flags.passages, features: &flags.features, seeds: &seeds };
    let placed = opened.place.of(&opened.sae);
    let found = feature_ablation(&mut loaded.session.engine, &placed, &what, &(), |_, _| {}).await?;
    if flags.json {
        return output::json(&found);
    }
    let mut text =
        String::from("feature   passages   tokens   loss where it is active     after it   random features there\n");
    let shown = |estimate: Option<Estimate>| match estimate {
        Some(Estimate { mean, interval: Some((low, high)), .. }) => format!("{mean:+.3} ({low:+.3} to {high:+.3})"),
        Some(Estimate { mean, .. }) => format!("{mean:+.3}"),
        None => "active nowhere".into(),
    };
    for found in &found {
        let random = found.random.iter().map(|random| format!("{random:+.3}")).collect::<Vec<_>>().join(" ");
        let after = found.increase_after.map_or(String::new(), |after| format!("{:+.3}", after.mean));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:>7}   {:>8}   {:>6}   {:<25}   {after:>8}   {random}",
            found.feature,
            found.passages,
            found.tokens,
            shown(found.increase)
        );
    }
    output::text(&text)
}
