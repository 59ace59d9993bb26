//! `tiller sae facets`: the groups of contexts in which a feature is strongest.

use crate::activations_file::{Activations, Place};
use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::output;
use crate::texts_file;
use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;
use tiller_formats::{DiskFolder, ReadOptions, SaeFile};
use tiller_interp::sae::{Facets, facets};
use tiller_sae::train::{ActivationRows, feature_rows};

/// Tokens that are shown up to a context, with its own.
const SHOWN: usize = 14;

#[derive(Args)]
pub struct Flags {
    /// The model, for its tokenizer.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// The autoencoder's folder.
    #[arg(long, value_name = "FOLDER")]
    sae: PathBuf,
    /// The features.
    #[arg(long, value_name = "N,N,..", value_delimiter = ',', required = true)]
    features: Vec<u32>,
    /// Activations, of `tiller sae harvest`, where the autoencoder reads.
    #[arg(long, value_name = "A.safetensors")]
    activations: PathBuf,
    /// The texts that they are of.
    #[arg(long, value_name = "FILE.jsonl")]
    texts: PathBuf,
    /// Contexts: the tokens at which the feature is strongest, one in a text.
    #[arg(long, value_name = "N", default_value_t = 60)]
    top: usize,
    /// Contexts of each facet that are shown.
    #[arg(long, value_name = "N", default_value_t = 4)]
    exemplars: usize,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    feature: u32,
    /// By context: its text, position and the feature's value.
    contexts: Vec<(u32, u32, f32)>,
    #[serde(flatten)]
    facets: Facets,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let sae = SaeFile::read(&DiskFolder::new(&flags.sae), &ReadOptions::default()).await?.sae;
    let texts = texts_file::read(&flags.texts)?;
    let session = flags.device.load(&flags.model).await?.session;
    let activations = Activations::read(std::slice::from_ref(&flags.activations)).await?;
    if activations.width() != sae.d_in {
        bail!("the activations are not of the site that the autoencoder reads: harvest them there");
    }
    if let Some(feature) = flags.features.iter().find(|&&feature| feature as usize >= sae.d_sae) {
        bail!("there is no feature {feature}: the autoencoder has features 0 to {}", sae.d_sae - 1);
    }
    let width = activations.width();
    let mut row = vec![0.0; width];
    let mut origin = vec![0.0; width];
    for n in 0..activations.rows() {
        activations.read(n, &mut row);
        origin.iter_mut().zip(&row).for_each(|(sum, x)| *sum += x / activations.rows() as f32);
    }
    let by_feature = feature_rows(&sae, &activations);
    let mut reports = Vec::new();
    for &feature in &flags.features {
        let mut strongest = by_feature[feature as usize].clone();
        strongest.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut contexts: Vec<(u32, u32, f32)> = Vec::new();
        let mut rows = Vec::new();
        for (n, value) in strongest {
            let Place { text, position, .. } = activations.places[n as usize];
            if contexts.len() == flags.top || contexts.iter().any(|context| context.0 == text) {
                continue;
            }
            contexts.push((text, position, value));
            activations.read(n as usize, &mut row);
            // What the feature itself writes is the same in all of them.
            rows.extend(row.iter().zip(sae.direction(feature as usize)).map(|(x, d)| x - value * d));
        }
        let facets = facets(&rows, &origin, flags.exemplars, &()).await?;
        reports.push(Report { feature, contexts, facets });
    }
    if flags.json {
        return output::json(&reports);
    }
    let mut shown = String::new();
    for Report { feature, contexts, facets } in &reports {
        let chance = facets.shuffled.iter().copied().fold(0.0, f64::max);
        // Writing to a string does not fail.
        let _ = writeln!(
            shown,
            "feature {feature}: facets {}, silhouette {:.3} (shuffled at most {chance:.3}), polysemanticity {:.2}, {} contexts",
            facets.count,
            facets.silhouette,
            facets.polysemanticity,
            contexts.len()
        );
        for (n, exemplars) in facets.exemplars.iter().enumerate() {
            let size = facets.facet.iter().filter(|&&facet| facet == n).count();
            let _ = writeln!(shown, "  facet {}, {size} contexts", n + 1);
            for &context in exemplars {
                let (text, position, value) = contexts[context];
                let given = texts.get(text as usize).context("the activations are of other texts: give those")?;
                let tokens = session.tokens(&given.prompt)?;
                let end = (position as usize + 1).min(tokens.len());
                let spelt = tokens[end.saturating_sub(SHOWN)..end].iter().map(|&t| session.tokenizer.token_text(t));
                let _ = writeln!(shown, "    {value:>6.1}  {:?}", spelt.collect::<String>());
            }
        }
    }
    output::text(&shown)
}
