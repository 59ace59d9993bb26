//! `tiller cav`: concept activation vectors, with their significance.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::patching_flags::AnswerFlags;
use crate::{output, texts_file};
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tiller_engine::Site;
use tiller_experiment::Session;
use tiller_interp::patch::Metric;
use tiller_interp::probe::{Cav, CavLayer, CavOptions, Concept, FitOptions, Welch, concept_vectors};

/// Tokens of a text, at most; what is longer is cut.
const LONGEST: usize = 128;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// Texts that have the concept, one on each line as in {"text": ".."}; they are read at their last token.
    #[arg(long, value_name = "FILE.jsonl")]
    concept: PathBuf,
    /// Texts of all kinds, to set against them and to draw random concepts from: at least as many.
    #[arg(long, value_name = "FILE.jsonl")]
    others: PathBuf,
    /// Texts after which the answer is looked at.
    #[arg(long, value_name = "FILE.jsonl")]
    prompts: PathBuf,
    #[command(flatten)]
    answer: AnswerFlags,
    /// The blocks after which to read the residual stream, from 0 [default: all].
    #[arg(long, value_name = "0,1,..", value_delimiter = ',')]
    layers: Option<Vec<u32>>,
    /// How many vectors of the concept there are, each against other texts, and as many of random concepts.
    #[arg(long, value_name = "N", default_value_t = CavOptions::default().sets as u16)]
    #[arg(value_parser = clap::value_parser!(u16).range(3..=1000))]
    sets: u16,
    /// Logistic regression's C: the smaller, the more the weights are held back.
    #[arg(long, value_name = "C", default_value_t = FitOptions::default().c)]
    c: f64,
    /// Of the sets that are drawn.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    metric: Metric,
    texts: usize,
    others: usize,
    prompts: usize,
    layers: Vec<LayerReport<'a>>,
    backend: &'static str,
    adapter: String,
}

#[derive(Serialize)]
struct LayerReport<'a> {
    #[serde(flatten)]
    layer: &'a CavLayer,
    /// Whether both tests say so, at 5 % over all layers.
    used: bool,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let mut loaded = flags.device.load(&flags.model).await?;
    let session = &mut loaded.session;
    let metric = flags.answer.metric(session)?;
    let [positive, others, prompts] = [&flags.concept, &flags.others, &flags.prompts].map(|path| tokens(path, session));
    let (positive, others, prompts) = (positive?, others?, prompts?);
    let blocks = session.engine.config().layers;
    let sites: Vec<Site> = match flags.layers {
        Some(layers) => layers.into_iter().map(Site::ResidPost).collect(),
        None => (0..blocks).map(Site::ResidPost).collect(),
    };
    let concept = Concept { positive: &positive, others: &others, prompts: &prompts, metric };
    let fit = FitOptions { c: flags.c, ..FitOptions::default() };
    let options = CavOptions { fit, seed: flags.seed, sets: flags.sets.into(), ..CavOptions::default() };
    let show = |layer: &CavLayer| {
        if !flags.json {
            // A pipe that was closed is told of at the end.
            let _ = output::text(&line(layer, sites.len()));
        }
    };
    let layers = concept_vectors(&mut session.engine, &concept, &sites, &options, &(), |_, _| {}, show).await?;
    if !flags.json {
        let used = layers.iter().filter(|layer| layer.is_used(sites.len())).count();
        return output::text(&format!(
            "both tests call the concept used at {used} of {} layers (5 % over all of them)\n",
            layers.len()
        ));
    }
    let used = |layer| LayerReport { layer, used: CavLayer::is_used(layer, sites.len()) };
    let (backend, adapter) = (loaded.backend(), loaded.adapter());
    output::json(&Report {
        metric,
        texts: positive.len(),
        others: others.len(),
        prompts: prompts.len(),
        layers: layers.iter().map(used).collect(),
        backend,
        adapter,
    })
}

fn tokens(path: &Path, session: &Session) -> anyhow::Result<Vec<Vec<u32>>> {
    texts_file::tokens(&texts_file::read(path)?, session, usize::MAX, LONGEST)
}

fn line(layer: &CavLayer, sites: usize) -> String {
    let mean = |cavs: &[Cav], of: fn(&Cav) -> f64| cavs.iter().map(of).sum::<f64>() / cavs.len().max(1) as f64;
    let both = |of: fn(&Cav) -> f64| (mean(&layer.concept, of), mean(&layer.random, of));
    let p = |test: &Option<Welch>| test.map_or("none".into(), |test| format!("{:.1e}", test.p));
    let (accuracy, score, size) = (both(|cav| cav.accuracy), both(|cav| cav.score), both(|cav| cav.sensitivity.abs()));
    let mut line = format!("{:>26}  ", layer.site.to_string());
    // Writing to a string does not fail.
    let _ = writeln!(
        line,
        "accuracy {:.2} (random {:.2})  score {:.2} ({:.2}), p {}  size {:.2} ({:.2}), p {}  {}",
        accuracy.0,
        accuracy.1,
        score.0,
        score.1,
        p(&layer.share_test),
        size.0,
        size.1,
        p(&layer.size_test),
        if layer.is_used(sites) { "used" } else { "not shown to be used" }
    );
    line
}
