//! A tuned lens: trained on texts, kept in a file, taken from one.
//!
//! The file is safetensors: for every place in the model but the last block's output `SITE.scale` and `SITE.shift`,
//! `[d_model]` f32, where SITE is as in `blocks.3.hook_resid_post`.

use crate::loaded::Loaded;
use crate::texts_file;
use anyhow::{anyhow, bail};
use clap::Args;
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tiller_engine::Site;
use tiller_experiment::Session;
use tiller_formats::{ByteSource, FileSource, Quant, Safetensors, dequantise};
use tiller_interp::lens::{Translator, TuneOptions, Tuned, TunedLayer, TunedLens, tune_lens};

/// Tokens of a text, at most; what is longer is cut.
const LONGEST: usize = 128;

#[derive(Args)]
pub struct TunedLensFlags {
    /// Train a tuned lens on these texts, one on each line as in {"text": ".."}, and look through it. A part of the texts
    /// is held out to judge it.
    #[arg(long, value_name = "FILE.jsonl", conflicts_with = "lens")]
    tuned: Option<PathBuf>,
    /// Look through a tuned lens that --save-lens kept.
    #[arg(long, value_name = "FILE.safetensors")]
    lens: Option<PathBuf>,
    /// Keep the lens that is trained.
    #[arg(long, value_name = "FILE.safetensors", requires = "tuned")]
    save_lens: Option<PathBuf>,
    /// Tokens to train on, at most.
    #[arg(long, value_name = "N", requires = "tuned", default_value_t = TuneOptions::default().positions)]
    lens_tokens: usize,
    /// Steps of training.
    #[arg(long, value_name = "N", requires = "tuned", default_value_t = TuneOptions::default().steps)]
    lens_steps: usize,
    /// Of the training's order and the controls.
    #[arg(long, value_name = "N", requires = "tuned", default_value_t = TuneOptions::default().seed)]
    lens_seed: u64,
}

/// A tuned lens, and what its training found, where it was trained just now.
pub struct LensInUse {
    lens: TunedLens,
    judged: Option<(Vec<TunedLayer>, usize, usize)>,
}

/// How well it does, in nats, on tokens that it was not trained on.
#[derive(Serialize)]
pub struct TunedReport<'a> {
    trained_on: usize,
    held_out: usize,
    /// The last first.
    layers: &'a [TunedLayer],
}

impl TunedLensFlags {
    /// The lens that the flags ask for, if any.
    pub async fn lens(&self, loaded: &mut Loaded) -> anyhow::Result<Option<LensInUse>> {
        let session = &mut loaded.session;
        if let Some(path) = &self.lens {
            let config = session.engine.config();
            let lens = read(path, config.layers, config.width as usize).await?;
            return Ok(Some(LensInUse { lens, judged: None }));
        }
        let Some(path) = &self.tuned else { return Ok(None) };
        let (positions, steps, seed) = (self.lens_tokens, self.lens_steps, self.lens_seed);
        let options = TuneOptions { positions, steps, seed, ..TuneOptions::default() };
        // A fifth of little text is held out.
        let most = options.positions + options.held_out + options.positions / 4 + LONGEST;
        let texts = texts_file::tokens(&texts_file::read(path)?, session, most, LONGEST)?;
        let found = LensInUse::trained(session, &texts, &options).await?;
        if let Some(path) = &self.save_lens {
            save(path, &found.lens)?;
        }
        Ok(Some(found))
    }
}

impl LensInUse {
    /// Trains one, saying how far it is.
    pub async fn trained(
        session: &mut Session,
        texts: &[Vec<u32>],
        options: &TuneOptions,
    ) -> anyhow::Result<LensInUse> {
        let mut told = 0;
        let progress = |done: u64, total: u64| {
            let percent = 100 * done / total.max(1);
            if percent >= told + 10 {
                told = percent;
                eprintln!("tiller: training the lens, {percent} %");
            }
        };
        let Tuned { lens, layers, trained_on, held_out } =
            tune_lens(&mut session.engine, texts, options, &(), progress).await?;
        Ok(LensInUse { lens, judged: Some((layers, trained_on, held_out)) })
    }

    pub fn lens(&self) -> &TunedLens {
        &self.lens
    }

    /// `None` of a lens from a file.
    pub fn report(&self) -> Option<TunedReport<'_>> {
        let (layers, trained_on, held_out) = self.judged.as_ref()?;
        Some(TunedReport { trained_on: *trained_on, held_out: *held_out, layers })
    }
}

impl TunedReport<'_> {
    /// A line for each place.
    pub fn table(&self) -> String {
        let mut table = format!(
            "divergence from the model's own prediction on {} tokens that the lens was not trained on ({} were), in nats\n",
            self.held_out, self.trained_on
        );
        for TunedLayer { site, plain, tuned, permuted, saved } in self.layers {
            let permuted: Vec<String> = permuted.iter().map(|found| format!("{found:.3}")).collect();
            let interval = saved.interval.map_or(String::new(), |(low, high)| format!(" [{low:.3}, {high:.3}]"));
            // Writing to a string does not fail.
            let _ = writeln!(
                table,
                "{:>26}  logit lens {plain:.3}, tuned {tuned:.3}, saved {:.3}{interval}, permuted {}",
                site.to_string(),
                saved.mean,
                permuted.join(" ")
            );
        }
        table + "\n"
    }
}

fn save(path: &Path, lens: &TunedLens) -> anyhow::Result<()> {
    let mut arrays: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for Translator { site, scale, shift } in lens.translators() {
        for (part, values) in [("scale", scale), ("shift", shift)] {
            let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            arrays.insert(format!("{site}.{part}"), bytes);
        }
    }
    let mut tensors = Vec::with_capacity(arrays.len());
    for (name, bytes) in &arrays {
        tensors.push((name.clone(), TensorView::new(Dtype::F32, vec![bytes.len() / size_of::<f32>()], bytes)?));
    }
    let about = HashMap::from([("made_by".to_string(), format!("tiller {}", env!("CARGO_PKG_VERSION")))]);
    let not_written = |error| anyhow!("{} could not be written ({error}): choose another place", path.display());
    safetensors::serialize_to_file(tensors, Some(about), path).map_err(not_written)
}

async fn read(path: &Path, layers: u32, width: usize) -> anyhow::Result<TunedLens> {
    let name = path.display();
    let source = FileSource::open(path).map_err(|error| anyhow!("{name} could not be read: {error}"))?;
    let file = Safetensors::read(&source).await.map_err(|error| anyhow!("{name}: {error}"))?;
    let mut translators: Vec<Translator> = Vec::new();
    for (tensor, stored) in &file.tensors {
        let parts = tensor.rsplit_once('.').and_then(|(site, part)| Some((site.parse::<Site>().ok()?, part)));
        let Some((site, part @ ("scale" | "shift"))) = parts else {
            bail!("{name} is no tuned lens (it holds {tensor:?}): give a file that --save-lens wrote");
        };
        if stored.shape != [width] || stored.quant(tensor)? != Quant::F32 {
            bail!("{tensor} of {name} is not {width} numbers in F32: give a lens that was trained for this model");
        }
        let bytes = source.read_at(stored.offset, stored.bytes as usize).await?;
        let values = dequantise(Quant::F32, &bytes, width);
        let at = translators.iter().position(|found| found.site == site).unwrap_or_else(|| {
            translators.push(Translator { site, scale: Vec::new(), shift: Vec::new() });
            translators.len() - 1
        });
        match part {
            "scale" => translators[at].scale = values,
            _ => translators[at].shift = values,
        }
    }
    Ok(TunedLens::new(translators, layers, width)?)
}
