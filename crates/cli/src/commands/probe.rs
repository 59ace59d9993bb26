//! `tiller probe`: what can be read off the activations at each layer.

mod classes;

use crate::loaded::{DeviceFlags, Loaded};
use crate::model_file::ModelSource;
use crate::output;
use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Instant;
use tiller_engine::Site;
use tiller_experiment::{ProbeTexts, finding};
use tiller_interp::probe::{
    ClassMethod, ClassOptions, Erased, Erasing, FitOptions, LayerProbe, MlpOptions, Part, ProbeMethod, Read, Split,
    Sweep, SweepOptions, erase_and_measure, fit, read,
};
use tiller_recipe::{DATASETS, Finding, LabelledText, ShippedDataset, labelled_texts, labelled_texts_by};

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// Texts with labels: CSV with the columns text, label and perhaps group, or the name of a dataset that comes along
    /// (sentiment, truth, language, code, gender, tense). The first row's label counts as positive. Of more than two labels a softmax probe reads which.
    #[arg(long, value_name = "FILE.csv|NAME")]
    data: String,
    /// How the probe is fitted: logistic, mass-mean, mass-mean-whitened, lda or ridge.
    #[arg(long, value_name = "METHOD", default_value = "logistic")]
    method: ProbeMethod,
    /// One activation to read, by its name, as in blocks.12.hook_mlp_out.
    #[arg(long, value_name = "SITE", conflicts_with = "layers")]
    site: Option<Site>,
    /// The blocks after which to read the residual stream, from 0 [default: all].
    #[arg(long, value_name = "0,1,..", value_delimiter = ',')]
    layers: Option<Vec<u32>>,
    /// Read at the last token of each text, or the mean over all.
    #[arg(long, value_enum, default_value = "last")]
    read: ReadFlag,
    /// The column whose equal values keep texts together when some are held back [default: group, where there is one].
    #[arg(long, value_name = "COLUMN", conflicts_with = "no_groups")]
    group: Option<String>,
    /// Divide the texts row by row, even where they have groups.
    #[arg(long)]
    no_groups: bool,
    /// Logistic regression's C: the smaller, the more the weights are held back.
    #[arg(long, value_name = "C", default_value_t = FitOptions::default().c)]
    c: f64,
    /// Ridge regression's penalty.
    #[arg(long, value_name = "ALPHA", default_value_t = FitOptions::default().alpha)]
    alpha: f64,
    /// How much of the covariance gives way to a multiple of the identity, for lda and mass-mean-whitened [default: as
    /// Ledoit and Wolf would have it].
    #[arg(long, value_name = "S")]
    shrinkage: Option<f64>,
    /// Read through a hidden layer of so many units: what is there, if not by a straight cut.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    hidden: Option<u16>,
    /// Of the division of the texts and of all controls.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many times labels are shuffled at each layer.
    #[arg(long, value_name = "N", default_value_t = SweepOptions::default().permutations)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1000))]
    permutations: u32,
    /// Erase the label at the best layer (LEACE), and measure again there and at the last block.
    #[arg(long)]
    erase: bool,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ReadFlag {
    Last,
    Mean,
}

#[derive(Serialize)]
struct Report<'a> {
    method: &'static str,
    options: FitOptions,
    read: Read,
    /// The label that counts as positive, and the other.
    classes: &'a [String; 2],
    texts: usize,
    positive: usize,
    split: SplitReport,
    /// The test accuracy of always naming the commoner class.
    majority: f64,
    layers: &'a [LayerProbe],
    /// The place of the best on the validation texts.
    chosen: usize,
    probe: ProbeReport<'a>,
    mistakes: Vec<Mistake<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    erased: Option<&'a Erased>,
    seconds_reading: f64,
    seconds_fitting: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<Finding>,
    backend: &'static str,
    adapter: String,
}

#[derive(Serialize)]
struct SplitReport {
    by_group: bool,
    training: usize,
    validation: usize,
    test: usize,
}

/// The chosen layer's probe: `probability = sigmoid(slope * (weights . activation + bias))`.
#[derive(Serialize)]
struct ProbeReport<'a> {
    #[serde(serialize_with = "as_text")]
    site: Site,
    weights: &'a [f64],
    norm: f64,
    bias: f64,
    slope: f64,
    mean: &'a [f64],
    scale: &'a [f64],
}

#[derive(Serialize)]
struct Mistake<'a> {
    text: &'a str,
    label: &'a str,
    /// Of the positive class.
    probability: f64,
}

fn as_text<S: serde::Serializer>(site: &Site, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(site)
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let mut rows = rows(&flags.data, flags.group.as_deref())?;
    if flags.no_groups {
        rows.iter_mut().for_each(|row| row.group = None);
    }
    let mut loaded = flags.device.load(&flags.model).await?;
    let blocks = loaded.session.engine.config().layers;
    let sites: Vec<Site> = match (flags.site, &flags.layers) {
        (Some(site), _) => vec![site],
        (None, Some(layers)) => layers.iter().map(|&layer| Site::ResidPost(layer)).collect(),
        (None, None) => (0..blocks).map(Site::ResidPost).collect(),
    };
    let read_at = match flags.read {
        ReadFlag::Last => Read::Last,
        ReadFlag::Mean => Read::Mean,
    };
    if flags.hidden.is_some() || distinct_labels(&rows) > 2 {
        if flags.method != ProbeMethod::Logistic || flags.erase {
            bail!("more than two labels, or a hidden layer, go with --method logistic alone, and without --erase");
        }
        let method = match flags.hidden {
            Some(hidden) => ClassMethod::Mlp(MlpOptions { hidden: hidden.into(), ..MlpOptions::default() }),
            None => ClassMethod::Softmax { c: flags.c },
        };
        let options = ClassOptions { method, read: read_at, seed: flags.seed, permutations: flags.permutations };
        return classes::run(&mut loaded, &rows, &sites, &options, flags.json).await;
    }
    let texts = loaded.session.probe_texts(&rows)?;
    let options = SweepOptions {
        method: flags.method,
        fit: FitOptions { c: flags.c, alpha: flags.alpha, shrinkage: flags.shrinkage },
        read: read_at,
        seed: flags.seed,
        permutations: flags.permutations,
        ..SweepOptions::default()
    };
    let asked = Asked { rows, texts, sites, options, erase: flags.erase, with_finding: false };
    run_on(&mut loaded, asked, flags.json).await
}

fn distinct_labels(rows: &[LabelledText]) -> usize {
    rows.iter().map(|row| &row.label).collect::<BTreeSet<_>>().len()
}

/// What is to be fitted, to what.
pub struct Asked {
    pub rows: Vec<LabelledText>,
    /// The same in tokens.
    pub texts: ProbeTexts,
    pub sites: Vec<Site>,
    pub options: SweepOptions,
    pub erase: bool,
    /// Whether to say what it shows, too.
    pub with_finding: bool,
}

/// Fits, and prints what comes of it.
pub async fn run_on(loaded: &mut Loaded, asked: Asked, json: bool) -> anyhow::Result<()> {
    let Asked { rows, texts, sites, options, .. } = asked;
    // What cannot be divided is refused before anything is read.
    Split::of(&texts.labels, texts.groups.as_deref(), options.seed)?;
    let begun = Instant::now();
    let engine = &mut loaded.session.engine;
    let activations = read(engine, &texts.tokens, &sites, options.read, &[], &(), |_, _| {}).await?;
    let seconds_reading = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let found = fit(&texts.examples(), &sites, activations, &options, &(), |_, _| {}, |_| {}).await?;
    let seconds_fitting = begun.elapsed().as_secs_f64();
    let erased = if asked.erase { Some(erase(loaded, &texts, &found, &options).await?) } else { None };
    let finding = asked.with_finding.then(|| finding::of_probe(&found));
    if !json {
        return output::text(&(table(&found, &texts, &rows, erased.as_ref()) + &output::finding(&finding)));
    }
    let best = found.best();
    let part = |part| found.split.texts(part).len();
    output::json(&Report {
        method: options.method.name(),
        options: options.fit,
        read: options.read,
        classes: &texts.classes,
        texts: rows.len(),
        positive: texts.labels.iter().filter(|&&label| label).count(),
        split: SplitReport {
            by_group: found.split.by_group,
            training: part(Part::Training),
            validation: part(Part::Validation),
            test: part(Part::Test),
        },
        majority: found.majority,
        layers: &found.layers,
        chosen: found.chosen,
        probe: ProbeReport {
            site: best.site,
            weights: &best.probe.readout.weights,
            norm: best.probe.readout.norm(),
            bias: best.probe.readout.bias,
            slope: best.probe.readout.slope,
            mean: &best.probe.mean,
            scale: &best.probe.scale,
        },
        mistakes: mistakes(best, &rows),
        erased: erased.as_ref(),
        seconds_reading,
        seconds_fitting,
        finding,
        backend: loaded.backend(),
        adapter: loaded.adapter(),
    })
}

/// The dataset of this name, or of the file.
fn rows(data: &str, group: Option<&str>) -> anyhow::Result<Vec<LabelledText>> {
    if let Some(shipped) = ShippedDataset::named(data) {
        if let Some(column) = group.filter(|&column| column != "group") {
            bail!("the dataset {data} has no column {column}: its groups are in the column group");
        }
        return Ok(shipped.rows());
    }
    let names = DATASETS.map(|dataset| dataset.name).join(", ");
    let unreadable = |error| anyhow!("{data} could not be read ({error}): name a CSV file, or one of {names}");
    let bytes = std::fs::read(data).map_err(unreadable)?;
    let table = String::from_utf8(bytes).map_err(|_| anyhow!("{data} is not text in UTF-8: save it as such"))?;
    let rows = match group {
        Some(column) => labelled_texts_by(&table, column),
        None => labelled_texts(&table),
    };
    rows.with_context(|| format!("{data} is no dataset"))
}

async fn erase(
    loaded: &mut Loaded,
    texts: &ProbeTexts,
    found: &Sweep,
    options: &SweepOptions,
) -> anyhow::Result<Erased> {
    let neutral = loaded.session.neutral()?;
    let site = found.best().site;
    let last = Site::ResidPost(loaded.session.engine.config().layers - 1);
    let what = Erasing {
        examples: &texts.examples(),
        split: &found.split,
        method: options.method,
        fit: options.fit,
        read: options.read,
        site,
        later: Some(last).filter(|&last| site.is_before(last)),
        neutral: &neutral,
        seeds: &[1, 2],
    };
    Ok(erase_and_measure(&mut loaded.session.engine, &what, &(), |_, _| {}).await?)
}

fn mistakes<'a>(layer: &LayerProbe, rows: &'a [LabelledText]) -> Vec<Mistake<'a>> {
    let mistake = |found: &tiller_interp::probe::Prediction| Mistake {
        text: &rows[found.text].text,
        label: &rows[found.text].label,
        probability: found.probability,
    };
    layer.mistakes().map(mistake).collect()
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// A line for each layer, the chosen one marked, and what is known of it.
fn table(found: &Sweep, texts: &ProbeTexts, rows: &[LabelledText], erased: Option<&Erased>) -> String {
    let part = |part| found.split.texts(part).len();
    let kept = if found.split.by_group { "groups kept together" } else { "row by row" };
    let mut table = format!(
        "{} against {}: {} texts to train, {} to choose the layer, {} to test, {kept}\nnaming the commoner class: {}\n",
        texts.classes[0],
        texts.classes[1],
        part(Part::Training),
        part(Part::Validation),
        part(Part::Test),
        percent(found.majority)
    );
    table += &format!("{:<30}", "site");
    table += "  chosen by   test      of 95 %     AUC   shuffled   words   selectivity\n";
    for (n, layer) in found.layers.iter().enumerate() {
        let LayerProbe { site, validation, test, shuffled, control_task, .. } = layer;
        let mean = shuffled.iter().sum::<f64>() / shuffled.len().max(1) as f64;
        let (words, selectivity) = match control_task {
            Some(task) => (percent(task.accuracy), format!("{:+.2}", task.selectivity)),
            None => ("-".into(), "-".into()),
        };
        let interval = format!("{}-{}", percent(test.interval.low), percent(test.interval.high));
        let shuffled = if shuffled.is_empty() { "-".into() } else { percent(mean) };
        let mark = if n == found.chosen { "   chosen" } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "{:<30} {:>10} {:>6} {interval:>12} {:>7.3} {shuffled:>10} {words:>7} {selectivity:>13}{mark}",
            site.to_string(),
            percent(validation.accuracy),
            percent(test.accuracy),
            test.auc.unwrap_or(f64::NAN)
        );
    }
    let wrong = mistakes(found.best(), rows);
    let _ = writeln!(table, "wrong at {}: {} of {}", found.best().site, wrong.len(), part(Part::Test));
    for Mistake { text, label, probability } in &wrong {
        let _ = writeln!(table, "  {label}, by {} {}: {text:?}", percent(*probability), texts.classes[0]);
    }
    if let Some(erased) = erased {
        let random = |all: &[f64]| all.iter().map(|&x| percent(x)).collect::<Vec<_>>().join(", ");
        for after in &erased.after {
            let _ = writeln!(
                table,
                "{} after erasing: {} (before: {}; with shuffled labels erased: {})",
                after.site,
                percent(after.after),
                percent(after.before),
                random(&after.random)
            );
        }
        let random: Vec<String> = erased.perplexity.random.iter().map(|p| format!("{p:.2}")).collect();
        let _ = writeln!(
            table,
            "perplexity {:.2}, plain {:.2}, with shuffled labels erased {}",
            erased.perplexity.value,
            erased.perplexity_plain,
            random.join(", ")
        );
    }
    table
}
