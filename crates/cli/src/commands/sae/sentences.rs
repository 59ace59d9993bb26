//! `tiller sae sentences`: one vector for each sentence, to train on, and what features know of sentences.

use crate::activations_file::{Activations, ActivationsWriter, Place};
use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::output;
use anyhow::bail;
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;
use tiller_experiment::SaePlace;
use tiller_formats::{DiskFolder, ReadOptions, SaeFile};
use tiller_interp::sae::{Sentence, sentence_features};
use tiller_sae::train::ActivationRows;

/// Tokens that a sentence has at least: what is shorter goes with what follows.
const SHORTEST: usize = 4;

#[derive(Args)]
pub struct Flags {
    /// The model, for its tokenizer.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// Activations of texts, token by token, of `tiller sae harvest`.
    #[arg(long, value_name = "A.safetensors")]
    activations: PathBuf,
    /// Write the mean activation of each sentence there, for `tiller sae train`.
    #[arg(long, value_name = "FILE.safetensors", required_unless_present = "sae")]
    out: Option<PathBuf>,
    /// An autoencoder that was trained on such a file: which of its features know what of a sentence.
    #[arg(long, value_name = "FOLDER")]
    sae: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let activations = Activations::read(std::slice::from_ref(&flags.activations)).await?;
    let session = flags.device.load(&flags.model).await?.session;
    let width = activations.width();
    let (mut sentences, mut vectors, mut last) = (Vec::new(), Vec::new(), Vec::new());
    let mut first = 0;
    let mut row = vec![0.0; width];
    let mut text = String::new();
    for (n, &Place { token, text: source, .. }) in activations.places.iter().enumerate() {
        let spelt = session.tokenizer.token_text(token);
        text.push_str(&spelt);
        let is_last = activations.places.get(n + 1).is_none_or(|next| next.text != source);
        let length = n + 1 - first;
        if !(is_last || spelt.contains(['.', '!', '?', '\n']) && length >= SHORTEST) {
            continue;
        }
        if length >= SHORTEST {
            let at = vectors.len();
            vectors.resize(at + width, 0.0);
            for token in first..=n {
                activations.read(token, &mut row);
                vectors[at..].iter_mut().zip(&row).for_each(|(mean, x)| *mean += x / length as f32);
            }
            last.push(activations.places[n]);
            sentences.push(Sentence { source, text: std::mem::take(&mut text), length, is_last });
        }
        text.clear();
        first = n + 1;
    }
    eprintln!("{} sentences of {} tokens", sentences.len(), activations.rows());
    if let Some(out) = &flags.out {
        let mut writer = ActivationsWriter::create(out, width)?;
        for (place, vector) in last.into_iter().zip(vectors.chunks_exact(width)) {
            writer.push(place, vector)?;
        }
        writer.finish(&activations.about)?;
    }
    let Some(folder) = &flags.sae else { return Ok(()) };
    let file = SaeFile::read(&DiskFolder::new(folder), &ReadOptions::default()).await?;
    let with_bos = session.tokenizer.begins_with_bos();
    let config = session.engine.config();
    let place = SaePlace::find(&file.sae, &file.trained_on, config, &session.facts.name, with_bos)?;
    if place.site.to_string() != activations.about.site {
        bail!("the activations are not of the site that the autoencoder reads: harvest them there");
    }
    let found = sentence_features(&place.of(&file.sae), &vectors, &sentences, 1, &()).await?;
    if flags.json {
        return output::json(&found);
    }
    let mut table =
        String::from("property       sentences   with it   feature    value   random directions   shuffled\n");
    for found in &found {
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "{:<12} {:>11}   {:>7}   {:>7}   {:>+6.3}   {:>17.3}   {:>+8.3}",
            found.property, found.sentences, found.positives, found.feature, found.value, found.random, found.shuffled
        );
    }
    output::text(&table)
}
