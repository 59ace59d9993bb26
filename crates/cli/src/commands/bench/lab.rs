//! What the laboratory's two great readings cost beside reading the same texts: vectors of all layers, and probes of all
//! layers.

use crate::loaded::Loaded;
use serde::Serialize;
use std::time::Instant;
use tiller_engine::{Engine, Harvest, Site, TapRows};
use tiller_experiment::ProbeTexts;
use tiller_interp::probe::{Read, SweepOptions, fit, read};
use tiller_interp::steer::{TokenPair, VectorMethod, extract};
use tiller_recipe::{DATASETS, LabelledText, ShippedDataset};

const PAIRS: usize = 200;
const TEXTS: usize = 1000;

/// Seconds, in one run, of texts of the datasets that come along. Reading is a pass of the texts through all blocks, of
/// which the last tokens' residual stream after the last block comes back.
#[derive(Serialize)]
pub struct Lab {
    pub pairs: usize,
    pub pair_tokens: usize,
    pub reading_pairs_s: f64,
    /// Mean differences at all layers, with everything that is said of them.
    pub vectors_s: f64,
    /// Of that time over the reading's.
    pub vectors_ratio: f64,
    pub texts: usize,
    pub text_tokens: usize,
    /// The last tokens' residual streams after all blocks.
    pub harvest_s: f64,
    /// Logistic regressions at all layers, with their controls.
    pub probes_s: f64,
    /// Of that time over the harvest's.
    pub probes_ratio: f64,
}

pub async fn measure(loaded: &mut Loaded) -> anyhow::Result<Lab> {
    let ProbeTexts { tokens, labels, .. } = loaded.session.probe_texts(&texts())?;
    let engine = &mut loaded.session.engine;
    let of = |positive: bool| tokens.iter().zip(&labels).filter(move |(_, label)| **label == positive);
    let pairs: Vec<TokenPair> = of(true)
        .zip(of(false))
        .take(PAIRS)
        .map(|((positive, _), (negative, _))| TokenPair { positive: positive.clone(), negative: negative.clone() })
        .collect();
    let of_pairs: Vec<Vec<u32>> =
        pairs.iter().flat_map(|pair| [pair.positive.clone(), pair.negative.clone()]).collect();
    let layers: Vec<u32> = (0..engine.config().layers).collect();
    let sites: Vec<Site> = layers.iter().map(|&layer| Site::ResidPost(layer)).collect();

    // What is done for the first time is done before the clock runs; and reading is the mean of two, around the other.
    extract(engine, VectorMethod::MeanDifference, &pairs[..4], &layers, &(), |_, _| {}).await?;
    reading(engine, &of_pairs[..8]).await?;
    let before = reading(engine, &of_pairs).await?;
    let begun = Instant::now();
    extract(engine, VectorMethod::MeanDifference, &pairs, &layers, &(), |_, _| {}).await?;
    let vectors_s = begun.elapsed().as_secs_f64();
    let reading_pairs_s = (before + reading(engine, &of_pairs).await?) / 2.0;

    let begun = Instant::now();
    let activations = read(engine, &tokens, &sites, Read::Last, &[], &(), |_, _| {}).await?;
    let harvest_s = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let texts = ProbeTexts { tokens, labels, groups: None, classes: Default::default() };
    fit(&texts.examples(), &sites, activations, &SweepOptions::default(), &(), |_, _| {}, |_| {}).await?;
    let probes_s = begun.elapsed().as_secs_f64();
    Ok(Lab {
        pairs: pairs.len(),
        pair_tokens: count(&of_pairs),
        reading_pairs_s,
        vectors_s,
        vectors_ratio: vectors_s / reading_pairs_s,
        texts: texts.tokens.len(),
        text_tokens: count(&texts.tokens),
        harvest_s,
        probes_s,
        probes_ratio: probes_s / harvest_s,
    })
}

/// Texts of all shipped datasets in turns, over and over under a number, which makes of each another text. The label is
/// whether a text is of its dataset's first class.
fn texts() -> Vec<LabelledText> {
    let of_dataset = |dataset: &ShippedDataset| {
        let rows = dataset.rows();
        let first = rows.first().map(|row| row.label.clone());
        let label = move |row: &LabelledText| if Some(&row.label) == first.as_ref() { "first" } else { "second" };
        rows.into_iter().map(|row| (label(&row), row.text)).collect::<Vec<_>>()
    };
    let rows: Vec<(&str, String)> = DATASETS.iter().flat_map(of_dataset).collect();
    let numbered = |(n, (label, text)): (usize, &(&str, String))| LabelledText {
        text: format!("{n}. {text}"),
        label: (*label).into(),
        group: None,
    };
    rows.iter().cycle().enumerate().map(numbered).take(TEXTS).collect()
}

async fn reading(engine: &mut Engine, prompts: &[Vec<u32>]) -> anyhow::Result<f64> {
    let sites = [Site::ResidPost(engine.config().layers - 1)];
    let what = Harvest { prompts, sites: &sites, rows: TapRows::Picks, edits: &[] };
    let begun = Instant::now();
    engine.harvest(&what, &(), |_, _| {}, |_| {}).await?;
    Ok(begun.elapsed().as_secs_f64())
}

fn count(texts: &[Vec<u32>]) -> usize {
    texts.iter().map(Vec::len).sum()
}

pub fn table(lab: &Lab) -> String {
    format!(
        "vectors at all layers from {} pairs ({} tokens): {:.2} s, {:.2} times reading them ({:.2} s)\n\
         probes at all layers on {} texts ({} tokens): {:.2} s on top of reading them ({:.2} s), {:.1} %\n",
        lab.pairs,
        lab.pair_tokens,
        lab.vectors_s,
        lab.vectors_ratio,
        lab.reading_pairs_s,
        lab.texts,
        lab.text_tokens,
        lab.probes_s,
        lab.harvest_s,
        100.0 * lab.probes_ratio
    )
}
