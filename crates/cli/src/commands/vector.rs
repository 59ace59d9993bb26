//! `tiller vector`: makes steering vectors from contrasting pairs, or from two words of the vocabulary.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::{output, pairs_file, vector_output};
use anyhow::bail;
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;
use tiller_experiment::{ControlVectorFile, Session, VectorAtLayer};
use tiller_interp::evidence::NEUTRAL_TEXT;
use tiller_interp::steer::{LayerDirection, VectorMethod, extract, vocabulary_direction};
use tiller_recipe::Prompt;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// How the direction is made of the pairs: mean-diff (the mean difference), pca-diff (the first component of how the
    /// differences vary), pca-center (the first component of the differences themselves), lda (the mean difference through
    /// the inverse covariance within the two sides) or logistic (the weights of a logistic probe).
    #[arg(long, value_name = "METHOD", default_value = "mean-diff")]
    method: VectorMethod,
    /// A line for each pair: {"positive": "..", "negative": ".."}.
    #[arg(long, value_name = "FILE.jsonl", required_unless_present = "words")]
    pairs: Option<PathBuf>,
    /// In place of pairs, two words that are one token each, spelt with their space, as in " good, bad": the direction
    /// from the second one's row of the unembedding to the first one's, through the final norm's gain.
    #[arg(long, value_name = "WORD,WORD", value_delimiter = ',', conflicts_with_all = ["pairs", "method"])]
    words: Option<Vec<String>>,
    /// The blocks after which to read, from 0 [default: all].
    #[arg(long, value_name = "0,1,..", value_delimiter = ',')]
    layers: Option<Vec<u32>>,
    /// Where to write it: a GGUF control vector, or safetensors where the name ends so.
    #[arg(long, value_name = "FILE.gguf|FILE.safetensors")]
    out: PathBuf,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pairs: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<[String; 2]>,
    suggested: Option<u32>,
    layers: &'a [LayerDirection],
    backend: &'static str,
    adapter: String,
}

/// As a control vector's file names what two words gave.
const VOCABULARY: &str = "vocabulary";

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let pairs = flags.pairs.as_deref().map(pairs_file::read).transpose()?;
    let words: Option<[String; 2]> = match flags.words.map(<[String; 2]>::try_from).transpose() {
        Ok(words) => words,
        Err(words) => bail!("--words names {} words: give two, as in \" good, bad\"", words.len()),
    };
    let mut loaded = flags.device.load(&flags.model).await?;
    let session = &mut loaded.session;
    let layers = flags.layers.unwrap_or_else(|| (0..session.engine.config().layers).collect());
    let (method, layers, suggested) = match &words {
        Some(words) => (VOCABULARY, of_words(session, words, &layers).await?, None),
        None => {
            let pairs = pairs_file::tokens(pairs.as_deref().unwrap_or_default(), session)?;
            let found = extract(&mut session.engine, flags.method, &pairs, &layers, &(), |_, _| {}).await?;
            (found.method.name(), found.layers, found.suggested)
        }
    };
    let made_of = match (&pairs, &words) {
        (Some(pairs), _) => format!("{} pairs", pairs.len()),
        (None, words) => words.as_ref().map(|words| format!("{:?}", words.join(", "))).unwrap_or_default(),
    };
    let at_layer = |layer: &LayerDirection| VectorAtLayer {
        layer: layer.layer,
        direction: layer.direction.clone(),
        norm: layer.norm,
        typical_norm: layer.typical_norm,
    };
    let file = ControlVectorFile { method: method.into(), layers: layers.iter().map(at_layer).collect() };
    vector_output::save(&flags.out, &file, &made_of, &loaded)?;
    if !flags.json {
        return output::text(&table(&layers, suggested));
    }
    let (backend, adapter) = (loaded.backend(), loaded.adapter());
    let pairs = pairs.map(|pairs| pairs.len());
    output::json(&Report { method, pairs, words, suggested, layers: &layers, backend, adapter })
}

async fn of_words(
    session: &mut Session,
    [toward, away]: &[String; 2],
    layers: &[u32],
) -> anyhow::Result<Vec<LayerDirection>> {
    let tokens = [session.one_token(toward)?, session.one_token(away)?];
    let neutral = session.tokens(&Prompt::Text(NEUTRAL_TEXT.into()))?;
    Ok(vocabulary_direction(&mut session.engine, tokens, layers, &neutral, &(), |_, _| {}).await?)
}

/// A line for each layer; the suggested one is marked.
fn table(layers: &[LayerDirection], suggested: Option<u32>) -> String {
    let mut table = "layer      norm   typical norm       d'   held-out accuracy\n".to_string();
    for layer in layers {
        let (d_prime, accuracy) = match layer.separability {
            Some(s) => (format!("{:.2}", s.d_prime), format!("{:.0} %", s.accuracy * 100.0)),
            None => ("-".into(), "-".into()),
        };
        let mark = if suggested == Some(layer.layer) { "   suggested" } else { "" };
        let LayerDirection { layer, norm, typical_norm, .. } = layer;
        // Writing to a string does not fail.
        let _ = writeln!(table, "{layer:5} {norm:9.2} {typical_norm:14.2} {d_prime:>8} {accuracy:>19}{mark}");
    }
    table
}
