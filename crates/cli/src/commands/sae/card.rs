//! `tiller sae card`: how far an autoencoder can be trusted.

use crate::activations_file::Activations;
use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::sae_flags::{OpenSae, SaeFlags};
use crate::{output, texts_file};
use anyhow::bail;
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tiller_interp::sae::{
    CardTexts, DarkMatter, FeatureLengths, Pursuit, SaeCard, SplicedLoss, SteadinessReport, SteadinessTexts, sae_card,
    steadiness, token_class,
};
use tiller_sae::train::ActivationRows;

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
    /// Activations, of `tiller sae harvest`, to learn on what the autoencoder leaves out; those of the texts that the card
    /// is of are not used.
    #[arg(long, value_name = "A.safetensors")]
    fit_on: Option<PathBuf>,
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
    let mut texts = texts_file::tokens(&given, &loaded.session, flags.tokens, flags.longest)?;
    let longest = (flags.longest_activation > 0.0).then_some(flags.longest_activation);
    let fit_on = match &flags.fit_on {
        Some(path) => other_rows(path, &flags.texts, &opened, texts.len()).await?,
        None => Vec::new(),
    };
    let what = CardTexts { texts: &texts, longest, seed: SEED, fit_on: &fit_on, with_loss: !flags.without_loss };
    let placed = opened.place.of(&opened.sae);
    let session = &mut loaded.session;
    let card = sae_card(&mut session.engine, &placed, &what, &(), |_, _| {}).await?;
    let tokenizer = &session.tokenizer;
    let class = |token: u32| token_class(&tokenizer.token_text(token));
    texts.retain(|text| text.len() > 2);
    let what = SteadinessTexts { texts: &texts, class: &class, seed: SEED };
    let steadiness = steadiness(&mut session.engine, &placed, &what, &(), |_, _| {}).await?;
    match flags.json {
        true => output::json(&Report { card: &card, steadiness }),
        false => output::text(&(table(&card) + &steady(&steadiness))),
    }
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    card: &'a SaeCard,
    steadiness: SteadinessReport,
}

/// Of the random directions, and of noise.
const SEED: u32 = 1;
/// Activations that errors are learnt on, at most: more would hardly make the map of 576 numbers to as many better.
const MOST_FIT: usize = 60_000;

/// The activations of a file but for those of the first `texts` texts, where it is of the same texts.
async fn other_rows(path: &Path, of_card: &Path, opened: &OpenSae, texts: usize) -> anyhow::Result<Vec<f32>> {
    let activations = Activations::read(&[path.to_path_buf()]).await?;
    if activations.width() != opened.sae.d_in || activations.about.site != opened.place.site.to_string() {
        bail!("{} is not of the activation that the autoencoder reads: harvest it there", path.display());
    }
    let same = of_card.file_name().is_some_and(|name| name.to_string_lossy() == activations.about.texts_file);
    let other = |&row: &usize| !same || activations.places[row].text as usize >= texts;
    let mut rows = Vec::new();
    for row in (0..activations.rows()).filter(other).take(MOST_FIT) {
        let at = rows.len();
        rows.resize(at + activations.width(), 0.0);
        activations.read(row, &mut rows[at..]);
    }
    Ok(rows)
}

fn steady(found: &SteadinessReport) -> String {
    let mut table = String::from("\n                         units   of one class   stay under noise\n");
    let neurons = found.neurons.iter().map(|neurons| ("the block's MLP neurons", neurons));
    for (name, found) in [("the SAE", &found.sae), ("random", &found.random)].into_iter().chain(neurons) {
        let (units, class, stay) = (found.units, 100.0 * found.consistency, 100.0 * found.stability);
        // Writing to a string does not fail.
        let _ = writeln!(table, "{name:<24} {units:>5}   {class:>10.1} %   {stay:>14.1} %");
    }
    table
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
    let Pursuit { tokens, fvu_encoder, fvu_pursuit } = card.pursuit;
    let _ = writeln!(
        table,
        "\nWith as many features of each token found by gradient pursuit: {:.1} % explained, against {:.1} % ({tokens} \
         tokens).",
        100.0 * (1.0 - fvu_pursuit),
        100.0 * (1.0 - fvu_encoder)
    );
    if let Some(FeatureLengths { ratio, deviation, expected_l0 }) = card.lengths {
        let _ = writeln!(
            table,
            "|f| / |x - b| is {ratio:.3} (deviation {deviation:.3}); {expected_l0:.1} features would make it 1."
        );
    }
    if let Some(DarkMatter { fitted_on, r2_vector, r2_length, fvu, loss }) = card.dark_matter {
        let loss = loss.map_or(String::new(), |loss| format!(", cross-entropy {:.3}", loss.cross_entropy));
        let _ = writeln!(
            table,
            "Of what is left out, {:.1} % can be read off the activation by a linear map ({fitted_on} activations of other \
             texts), and {:.1} % of the variance of its squared length. With that added: {:.1} % explained{loss}.",
            100.0 * r2_vector,
            100.0 * r2_length,
            100.0 * (1.0 - fvu)
        );
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
