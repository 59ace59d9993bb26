//! `tiller sae card`: how far an autoencoder can be trusted.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::sae_flags::SaeFlags;
use crate::{output, texts_file};
use anyhow::anyhow;
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;
use tiller_interp::sae::{CardTexts, SaeCard, SplicedLoss, sae_card};

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    #[command(flatten)]
    sae: SaeFlags,
    /// Texts that it was not trained on, one on each line: {"text": ".."}, or {"turns": [{"role": "user", ..}]}.
    #[arg(long, value_name = "FILE.jsonl")]
    texts: PathBuf,
    /// Stop after about as many tokens.
    #[arg(long, value_name = "N", default_value_t = 4000)]
    tokens: usize,
    /// Cut texts after as many tokens.
    #[arg(long, value_name = "N", default_value_t = 128)]
    longest: usize,
    /// Leave out tokens whose activation is longer than so many times the median; 0 keeps all.
    #[arg(long, value_name = "TIMES", default_value_t = 4.0)]
    longest_activation: f64,
    /// Do not run the model on reconstructions.
    #[arg(long)]
    without_loss: bool,
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
    let mut texts = Vec::new();
    let mut tokens = 0;
    for (text, number) in given.iter().zip(1..) {
        if tokens >= flags.tokens {
            break;
        }
        let mut of_text = loaded.session.tokens(&text.prompt).map_err(|error| anyhow!("text {number}: {error}"))?;
        of_text.truncate(flags.longest.max(1));
        tokens += of_text.len();
        texts.push(of_text);
    }
    let longest = (flags.longest_activation > 0.0).then_some(flags.longest_activation);
    let what = CardTexts { texts: &texts, longest, seed: 1, with_loss: !flags.without_loss };
    let placed = opened.place.of(&opened.sae);
    let card = sae_card(&mut loaded.session.engine, &placed, &what, &(), |_, _| {}).await?;
    match flags.json {
        true => output::json(&card),
        false => output::text(&table(&card)),
    }
}

fn table(card: &SaeCard) -> String {
    let SaeCard { tokens, texts, left_out, features, l0, dead, dense, random_l0, .. } = card;
    let mut table = format!(
        "{tokens} tokens of {texts} texts, without the first of each and {left_out} of great length\n\
         {features} features: {l0:.1} active on a token, {dead} on none, {dense} on more than a tenth\n\n\
         \x20                        variance explained   |x'| / |x|   cross-entropy   recovered   divergence\n"
    );
    let components = format!("{:.0} principal components", l0.round().max(1.0));
    let random = format!("random, L0 {random_l0:.1}");
    for (name, found) in [("the SAE", &card.sae), (&components, &card.components), (&random, &card.random)] {
        let (explained, ratio) = (100.0 * (1.0 - found.fvu), found.length_ratio);
        let loss = found.loss.map_or(String::new(), |loss: SplicedLoss| {
            let recovered = loss.recovered.map_or("-".into(), |share| format!("{:.1} %", 100.0 * share));
            format!("{:>13.3}   {recovered:>9}   {:>10.3}", loss.cross_entropy, loss.divergence)
        });
        // Writing to a string does not fail.
        let _ = writeln!(table, "{name:<24} {explained:>17.1} %   {ratio:>10.3}   {loss}");
    }
    if let Some(loss) = card.loss {
        let _ = writeln!(
            table,
            "\nThe model's own cross-entropy is {:.3} nats a token, and {:.3} with zeros in the activation's place ({} \
             tokens).",
            loss.clean, loss.zero, loss.tokens
        );
    }
    table
}
