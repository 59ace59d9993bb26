//! `tiller vector`: makes steering vectors from contrasting pairs.

use crate::loaded::{DeviceFlags, Loaded};
use crate::model_file::ModelSource;
use crate::{output, pairs_file};
use anyhow::anyhow;
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tiller_experiment::{ControlVectorFile, VectorAtLayer};
use tiller_interp::steer::{Extraction, LayerDirection, VectorMethod, extract};

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
    #[arg(long, value_name = "FILE.jsonl")]
    pairs: PathBuf,
    /// The blocks after which to read, from 0 [default: all].
    #[arg(long, value_name = "0,1,..", value_delimiter = ',')]
    layers: Option<Vec<u32>>,
    /// Where to write the GGUF control vector.
    #[arg(long, value_name = "FILE.gguf")]
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
    pairs: usize,
    suggested: Option<u32>,
    layers: &'a [LayerDirection],
    backend: &'static str,
    adapter: String,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let pairs = pairs_file::read(&flags.pairs)?;
    let mut loaded = flags.device.load(&flags.model).await?;
    let pairs = pairs_file::tokens(&pairs, &loaded.session)?;
    let layers = flags.layers.unwrap_or_else(|| (0..loaded.session.engine.config().layers).collect());
    let found = extract(&mut loaded.session.engine, flags.method, &pairs, &layers, &(), |_, _| {}).await?;
    save(&flags.out, &found, &loaded)?;
    if !flags.json {
        return output::text(&table(&found));
    }
    output::json(&Report {
        method: found.method.name(),
        pairs: found.pairs,
        suggested: found.suggested,
        layers: &found.layers,
        backend: loaded.backend(),
        adapter: loaded.adapter(),
    })
}

fn save(path: &Path, found: &Extraction, loaded: &Loaded) -> anyhow::Result<()> {
    let layers = found.layers.iter().map(|layer| VectorAtLayer {
        layer: layer.layer,
        direction: layer.direction.clone(),
        norm: layer.norm,
        typical_norm: layer.typical_norm,
    });
    let file = ControlVectorFile { method: found.method.name().into(), layers: layers.collect() };
    let bytes = file.to_bytes(&loaded.session.engine.config().architecture)?;
    let not_written = |error| anyhow!("{} could not be written ({error}): choose another place", path.display());
    std::fs::write(path, bytes).map_err(not_written)
}

/// A line for each layer; the suggested one is marked.
fn table(found: &Extraction) -> String {
    let mut table = "layer      norm   typical norm       d'   held-out accuracy\n".to_string();
    for layer in &found.layers {
        let (d_prime, accuracy) = match layer.separability {
            Some(s) => (format!("{:.2}", s.d_prime), format!("{:.0} %", s.accuracy * 100.0)),
            None => ("-".into(), "-".into()),
        };
        let mark = if found.suggested == Some(layer.layer) { "   suggested" } else { "" };
        let LayerDirection { layer, norm, typical_norm, .. } = layer;
        // Writing to a string does not fail.
        let _ = writeln!(table, "{layer:5} {norm:9.2} {typical_norm:14.2} {d_prime:>8} {accuracy:>19}{mark}");
    }
    table
}
