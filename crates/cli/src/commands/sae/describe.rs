//! `tiller sae describe`: what each feature is active on, in a file that the page shows.

use crate::activations_file::{Activations, Place};
use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::texts_file::{self, GivenText};
use anyhow::{Context, anyhow, bail};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tiller_experiment::Session;
use tiller_formats::{DiskFolder, ReadOptions, SaeFile};
use tiller_interp::sae::{CoActivity, Label, LabelToken, LabelTokens, Labeller, histogram};
use tiller_sae::Sae;
use tiller_sae::train::{ActivationRows, feature_rows};

/// Tokens on either side of the strongest whose values are given.
const CONTEXT: u32 = 12;
/// Parts of a histogram.
const BINS: usize = 10;
/// Features that are named as active on the same tokens.
const TOGETHER: usize = 4;

#[derive(Args)]
pub struct Flags {
    /// The model, for its tokenizer.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// The autoencoder's folder.
    #[arg(long, value_name = "FOLDER")]
    sae: PathBuf,
    /// Activations to make labels from, of `tiller sae harvest`.
    #[arg(long, value_name = "A.safetensors,..", value_delimiter = ',', required = true)]
    label_on: Vec<PathBuf>,
    /// Activations of other texts, to measure labels and densities on.
    #[arg(long, value_name = "A.safetensors,..", value_delimiter = ',', required = true)]
    measure_on: Vec<PathBuf>,
    /// Activations of the texts from which passages are taken.
    #[arg(long, value_name = "A.safetensors")]
    passages: PathBuf,
    /// These texts.
    #[arg(long, value_name = "FILE.jsonl")]
    texts: PathBuf,
    /// A source that may be quoted, and why; may be given again.
    #[arg(long, value_name = "SOURCE=LICENCE", value_parser = source)]
    quote: Vec<Source>,
    /// Passages of a feature.
    #[arg(long, value_name = "N", default_value_t = 5)]
    top: usize,
    /// Where to write.
    #[arg(long, value_name = "FILE.json")]
    out: PathBuf,
    #[command(flatten)]
    device: DeviceFlags,
}

#[derive(Clone, Debug, Serialize)]
struct Source {
    name: String,
    licence: String,
}

fn source(given: &str) -> Result<Source, String> {
    let (name, licence) =
        given.split_once('=').ok_or("write a source and its licence, as in moby-dick=public domain")?;
    Ok(Source { name: name.into(), licence: licence.into() })
}

/// What is written. Each text stands there once; passages name a text and a place in it.
#[derive(Serialize)]
struct Description {
    model: String,
    site: String,
    /// Activations behind densities and what is measured of labels.
    rows: usize,
    sources: Vec<Source>,
    texts: Vec<Text>,
    features: Vec<Feature>,
}

#[derive(Serialize)]
struct Text {
    source: usize,
    tokens: Vec<String>,
}

#[derive(Serialize)]
struct Feature {
    /// The fraction of tokens at which it is active at all.
    density: f64,
    /// The largest value, over all texts.
    max: f64,
    label: Option<Label>,
    /// Of the tokens at which it is active, of those behind densities: how many have a value in each tenth of `max`.
    histogram: Vec<u32>,
    /// The features that are most often active on the same tokens, with the Jaccard index.
    together: Vec<(u32, f64)>,
    passages: Vec<Passage>,
}

#[derive(Serialize)]
struct Passage {
    text: usize,
    /// The position of the largest value.
    at: u32,
    /// Position and value, where it is active nearby.
    values: Vec<(u32, f64)>,
}

/// Activations, by feature.
struct Encoded {
    places: Vec<Place>,
    features: Vec<Vec<(u32, f32)>>,
}

impl Encoded {
    async fn read(paths: &[PathBuf], sae: &Sae, site: Option<&str>) -> anyhow::Result<Encoded> {
        let activations = Activations::read(paths).await?;
        if activations.width() != sae.d_in || site.is_some_and(|site| site != activations.about.site) {
            bail!("the activations are not of the site that the autoencoder reads: harvest them there");
        }
        let features = feature_rows(sae, &activations);
        Ok(Encoded { places: activations.places, features })
    }

    /// The tokens, as labels see them.
    fn label_tokens(&self, session: &Session) -> LabelTokens {
        let mut texts: BTreeMap<u32, String> = BTreeMap::new();
        for place in &self.places {
            texts.entry(place.token).or_insert_with(|| session.tokenizer.token_text(place.token));
        }
        let before = |row: usize| {
            let (place, before) = (self.places[row], self.places[row.checked_sub(1)?]);
            let follows = before.text == place.text && before.position + 1 == place.position;
            follows.then(|| texts[&before.token].as_str())
        };
        let tokens = self.places.iter().enumerate();
        LabelTokens::new(tokens.map(|(row, place)| LabelToken { text: &texts[&place.token], before: before(row) }))
    }

    fn max(&self, feature: usize) -> f32 {
        self.features[feature].iter().map(|&(_, value)| value).fold(0.0, f32::max)
    }
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let file = SaeFile::read(&DiskFolder::new(&flags.sae), &ReadOptions::default()).await?;
    let (sae, site) = (&file.sae, file.trained_on.site.as_deref());
    let texts = texts_file::read(&flags.texts)?;
    let session = flags.device.load(&flags.model).await?.session;
    let made_on = Encoded::read(&flags.label_on, sae, site).await?;
    let measured_on = Encoded::read(&flags.measure_on, sae, site).await?;
    let passages = Encoded::read(std::slice::from_ref(&flags.passages), sae, site).await?;

    let (made_tokens, measured_tokens) = (made_on.label_tokens(&session), measured_on.label_tokens(&session));
    let labeller = Labeller::new(&made_tokens, &measured_tokens);
    let activity = CoActivity::new(&measured_on.features, measured_on.places.len());
    let mut quoted = Quoted { texts: &texts, sources: &flags.quote, session: &session, kept: BTreeMap::new() };
    let mut features = Vec::with_capacity(sae.d_sae);
    for feature in 0..sae.d_sae {
        let label = labeller.label(&made_on.features[feature], &measured_on.features[feature]);
        let max = made_on.max(feature).max(measured_on.max(feature)).max(passages.max(feature));
        features.push(Feature {
            density: rounded(measured_on.features[feature].len() as f64 / measured_on.places.len() as f64, 6),
            max: rounded(max.into(), 1),
            label: label.map(|label| Label {
                from: rounded(label.from.into(), 2) as f32,
                f1: rounded(label.f1, 3),
                precision: rounded(label.precision, 3),
                recall: rounded(label.recall, 3),
                ..label
            }),
            histogram: histogram(measured_on.features[feature].iter().map(|&(_, value)| value), max, BINS),
            together: {
                let found = activity.of(feature, TOGETHER).into_iter();
                found.map(|found| (found.feature, rounded(found.jaccard, 2))).collect()
            },
            passages: quoted.passages(&passages, feature, flags.top)?,
        });
    }
    let labelled = features.iter().filter(|feature| feature.label.is_some()).count();
    let shown = features.iter().filter(|feature| !feature.passages.is_empty()).count();
    let texts = quoted.in_order();
    eprintln!("{labelled} features have a label, {shown} passages, of {}; {} texts", features.len(), texts.len());
    let description = Description {
        model: file.trained_on.model.unwrap_or_default(),
        site: file.trained_on.site.unwrap_or_default(),
        rows: measured_on.places.len(),
        sources: flags.quote.clone(),
        texts,
        features,
    };
    let unwritten = |error| anyhow!("{} could not be written ({error}): choose another place", flags.out.display());
    std::fs::write(&flags.out, serde_json::to_vec(&description)?).map_err(unwritten)
}

fn rounded(x: f64, digits: i32) -> f64 {
    let unit = 10f64.powi(digits);
    (x * unit).round() / unit
}

/// The texts that passages are taken from.
struct Quoted<'a> {
    texts: &'a [GivenText],
    sources: &'a [Source],
    session: &'a Session,
    /// By their number among all texts: their number among those that are written, and what is written.
    kept: BTreeMap<u32, (usize, Text)>,
}

impl Quoted<'_> {
    /// Where a feature is strongest, once in a text.
    fn passages(&mut self, encoded: &Encoded, feature: usize, top: usize) -> anyhow::Result<Vec<Passage>> {
        let rows = &encoded.features[feature];
        let mut strongest = rows.clone();
        strongest.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut passages: Vec<(u32, Passage)> = Vec::new();
        for (row, _) in strongest {
            let Place { position: at, text, .. } = encoded.places[row as usize];
            if passages.len() == top {
                break;
            }
            if passages.iter().any(|(taken, _)| *taken == text) {
                continue;
            }
            let Some(number) = self.keep(text)? else { continue };
            let near = |&&(row, _): &&(u32, f32)| {
                let place = encoded.places[row as usize];
                place.text == text && place.position.abs_diff(at) <= CONTEXT
            };
            let value = |&(row, value): &(u32, f32)| (encoded.places[row as usize].position, rounded(value.into(), 1));
            let values = rows.iter().filter(near).map(value).collect();
            passages.push((text, Passage { text: number, at, values }));
        }
        Ok(passages.into_iter().map(|(_, passage)| passage).collect())
    }

    /// A text's number among those that are written; `None` where it may not be quoted.
    fn keep(&mut self, text: u32) -> anyhow::Result<Option<usize>> {
        if let Some((number, _)) = self.kept.get(&text) {
            return Ok(Some(*number));
        }
        let given = self.texts.get(text as usize).context("the activations are of other texts: give those")?;
        let source = self.sources.iter().position(|source| given.source.as_deref() == Some(source.name.as_str()));
        let Some(source) = source else { return Ok(None) };
        let tokens = self.session.tokens(&given.prompt)?;
        let tokens = tokens.into_iter().map(|token| self.session.tokenizer.token_text(token)).collect();
        let number = self.kept.len();
        self.kept.insert(text, (number, Text { source, tokens }));
        Ok(Some(number))
    }

    fn in_order(self) -> Vec<Text> {
        let mut texts: Vec<(usize, Text)> = self.kept.into_values().collect();
        texts.sort_by_key(|(number, _)| *number);
        texts.into_iter().map(|(_, text)| text).collect()
    }
}
