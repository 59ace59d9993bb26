//! Sparse autoencoders: loading one, its features of a text, and a feature by itself.

use super::{reading, session};
use crate::desk::Bench;
use crate::failure::Stop;
use crate::host;
use crate::live::Live;
use serde::Deserialize;
use std::collections::BTreeMap;
use tiller_engine::Site;
use tiller_experiment::{SaePlace, Session};
use tiller_formats::{ReadOptions, SaeFile};
use tiller_interp::evidence::CONTROL_SEEDS;
use tiller_interp::neurons::WrittenToken;
use tiller_interp::sae::{FeatureReading, PlacedSae, feature_logits, nearest_features, text_features};
use tiller_interp::typical_norms;
use tiller_protocol::{
    Event, FeatureCard, FeatureInText, FeatureLabel, FeatureSeen, FeatureText, LayerDirection, Passage, RunSpec,
    SaeFileBytes, SaeInfo, SaeQuality, SaeSource, TokenFeatures,
};
use tiller_recipe::Direction;
use tiller_sae::{Activation, Sae};

/// Features that are named at each token, and followed through a text.
const TOP: usize = 12;
const FOLLOWED: usize = 40;
/// So many more are looked at where it is known how rare each is: the strongest are mostly those that are always active.
const CANDIDATES: usize = 10;
/// Tokens that a feature's card names on each side.
const LOGITS: usize = 10;
const NEAR: usize = 8;
/// Tokens of a prompt that are shown: as many as a person looks at.
const MOST_TOKENS: usize = 256;

/// What a shipped SAE lies in, beside the page.
const WEIGHTS: [&str; 2] = ["cfg.json", "sae_weights.safetensors"];
/// What is known of its features from a corpus.
const CORPUS: &str = "features.json";

/// How good it is.
const CARD: &str = "card.json";

/// An SAE in its place in the loaded model.
pub struct LoadedSae {
    sae: Sae,
    place: SaePlace,
    corpus: Corpus,
    /// Mean length of the residual stream where it reads, once it was asked for.
    typical_norm: Option<f64>,
}

/// What is known of features from a corpus, as `features.json` has it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Corpus {
    texts: Vec<CorpusText>,
    /// By number.
    features: Vec<OnCorpus>,
}

#[derive(Deserialize)]
struct CorpusText {
    tokens: Vec<String>,
}

/// One feature.
#[derive(Deserialize)]
struct OnCorpus {
    density: f32,
    max: f32,
    #[serde(default)]
    label: Option<FeatureLabel>,
    #[serde(default)]
    passages: Vec<Place>,
}

/// A place in a text: the position of the feature's largest value there, and its values by position.
#[derive(Deserialize)]
struct Place {
    text: usize,
    at: usize,
    values: Vec<(usize, f32)>,
}

/// Tokens of a passage before and after the one on which the feature is strongest.
const BEFORE: usize = 14;
const AFTER: usize = 7;

impl Corpus {
    /// What a feature's value tells: times the surprise that the feature is active at all, in nats. Where nothing is
    /// known of it, the value.
    fn tells(&self, feature: u32, value: f32) -> f32 {
        let density = self.features.get(feature as usize).map(|found| found.density);
        value * density.map_or(1.0, |density| -density.clamp(1e-6, 1.0).ln())
    }

    fn seen(&self, feature: usize) -> Option<FeatureSeen> {
        let found = self.features.get(feature)?;
        let passages = found.passages.iter().filter_map(|place| self.passage(place)).collect();
        Some(FeatureSeen { density: found.density, largest: found.max, passages })
    }

    /// `None` where a place is none.
    fn passage(&self, place: &Place) -> Option<Passage> {
        let tokens = &self.texts.get(place.text)?.tokens;
        let window = place.at.saturating_sub(BEFORE)..place.at.saturating_add(AFTER + 1).min(tokens.len());
        let mut values = vec![0.0; window.len()];
        for &(position, value) in place.values.iter().filter(|(position, _)| window.contains(position)) {
            values[position - window.start] = value;
        }
        Some(Passage { tokens: tokens.get(window)?.to_vec(), values })
    }
}

impl LoadedSae {
    fn placed(&self) -> PlacedSae<'_> {
        self.place.of(&self.sae)
    }
}

pub async fn load(bench: &mut Bench, live: &Live, source: SaeSource) -> Result<Event, Stop> {
    bench.sae = None;
    let (name, mut files) = match source {
        SaeSource::Shipped(name) => {
            let files = shipped(&name).await.map_err(|reason| {
                let message = format!("{reason}; check the connection and try again.");
                Stop::failed("The sparse autoencoder could not be fetched", message)
            })?;
            (name, files)
        }
        SaeSource::Files { name, files } => {
            (name, files.into_iter().map(|SaeFileBytes { name, bytes }| (name, bytes)).collect())
        }
    };
    let session = session(bench)?;
    let unusable = |reason: String| Stop::failed("The sparse autoencoder cannot be used", reason);
    // What cannot be read of it is left out: the features are there without.
    let corpus = files.remove(CORPUS).and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let quality = files.remove(CARD).and_then(|bytes| quality(&bytes));
    let file = SaeFile::read(&files, &ReadOptions::default()).await.map_err(|error| unusable(error.to_string()))?;
    let config = session.engine.config();
    let with_bos = session.tokenizer.begins_with_bos();
    let place = SaePlace::find(&file.sae, &file.trained_on, config, &session.facts.name, with_bos)
        .map_err(|error| unusable(error.to_string()))?;
    let loaded = LoadedSae { sae: file.sae, place, corpus, typical_norm: None };
    let label = |(feature, seen): (u32, &OnCorpus)| Some((feature, seen.label.clone()?));
    let sae = SaeInfo {
        name,
        features: loaded.sae.d_sae as u32,
        site: loaded.place.site.to_string(),
        architecture: architecture(&loaded.sae),
        notes: loaded.place.notes.clone(),
        labels: (0..).zip(&loaded.corpus.features).filter_map(label).collect(),
        quality,
    };
    bench.sae = Some(loaded);
    Ok(Event::SaeLoaded { job: live.job, sae })
}

fn architecture(sae: &Sae) -> String {
    match &sae.activation {
        Activation::Relu => "ReLU".into(),
        Activation::TopK { k } => format!("TopK, k = {k}"),
        Activation::JumpRelu { .. } => "JumpReLU".into(),
        Activation::Gated { .. } => "gated".into(),
        Activation::MatchingPursuit { .. } => "matching pursuit".into(),
    }
}

/// The files of an SAE that comes with the page.
async fn shipped(name: &str) -> Result<BTreeMap<String, Vec<u8>>, String> {
    // A link names it.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !name.chars().all(plain) || name.starts_with('.') {
        return Err(format!("no sparse autoencoder called {name:?} comes with this page"));
    }
    let mut files = BTreeMap::new();
    for file in WEIGHTS {
        files.insert(file.to_string(), host::fetch(&format!("sae/{name}/{file}")).await?);
    }
    for file in [CORPUS, CARD] {
        if let Ok(bytes) = host::fetch(&format!("sae/{name}/{file}")).await {
            files.insert(file.into(), bytes);
        }
    }
    Ok(files)
}

/// What a card says, as far as the page shows it.
fn quality(card: &[u8]) -> Option<SaeQuality> {
    let card: serde_json::Value = serde_json::from_slice(card).ok()?;
    let number = |path: &str| card.pointer(path)?.as_f64().map(|number| number as f32);
    Some(SaeQuality {
        explained_variance: number("/held_out/as_stored/explained_variance")?,
        l0: number("/held_out/as_stored/l0")?,
        dead: number("/held_out/as_stored/dead")? as u32,
        loss: number("/loss/sae/loss/increase/mean")?,
        loss_interval: (number("/loss/sae/loss/increase/interval/0")?, number("/loss/sae/loss/increase/interval/1")?),
        recovered: number("/loss/sae/loss/recovered")?,
        recovered_by_components: number("/loss/principal_components/loss/recovered")?,
        recovered_by_random: number("/loss/random_directions/loss/recovered")?,
    })
}

/// The model, and the SAE.
fn both(bench: &mut Bench) -> Result<(&mut Session, &mut LoadedSae), Stop> {
    let none = || Stop::failed("No sparse autoencoder is loaded", "Load one in the Features view, then try again.");
    session(bench)?;
    match (&mut bench.session, &mut bench.sae) {
        (Some(session), Some(sae)) => Ok((session, sae)),
        _ => Err(none()),
    }
}

pub async fn read(bench: &mut Bench, live: &Live, run: &RunSpec) -> Result<Event, Stop> {
    let (session, loaded) = both(bench)?;
    let mut tokens = session.tokens(&run.prompt)?;
    tokens.truncate(MOST_TOKENS);
    let edits = session.resolve_edits(&run.vectors, &run.edits, live).await?;
    let (top, followed) = (TOP * CANDIDATES, FOLLOWED * CANDIDATES);
    let what = FeatureReading { tokens: &tokens, top, followed, edits: &edits };
    let found = text_features(&mut session.engine, &loaded.placed(), &what, live, reading(live)).await?;
    let corpus = &loaded.corpus;
    let token = |(&id, found): (&u32, &tiller_interp::sae::TokenFeatures)| {
        let mut top: Vec<(u32, f32)> = found.top.iter().map(|top| (top.feature, top.value)).collect();
        top.sort_by(|a, b| corpus.tells(b.0, b.1).total_cmp(&corpus.tells(a.0, a.1)));
        top.truncate(TOP);
        let error = found.error as f32;
        TokenFeatures { text: session.tokenizer.token_text(id), active: found.active, top, error }
    };
    let feature = |found: tiller_interp::sae::FeatureInText| FeatureInText {
        feature: found.feature,
        max: found.max,
        at: found.at,
        values: found.values,
    };
    let text = FeatureText {
        tokens: tokens.iter().zip(&found.tokens).map(token).collect(),
        features: {
            let mut features = found.features;
            features.sort_by(|a, b| corpus.tells(b.feature, b.max).total_cmp(&corpus.tells(a.feature, a.max)));
            features.into_iter().take(FOLLOWED).map(feature).collect()
        },
    };
    Ok(Event::FeaturesRead { job: live.job, text })
}

pub async fn look_at(bench: &mut Bench, live: &Live, feature: u32) -> Result<Event, Stop> {
    let (session, loaded) = both(bench)?;
    let number = feature as usize;
    let engine = &mut session.engine;
    let logits = feature_logits(engine, &loaded.placed(), number, LOGITS, &CONTROL_SEEDS, live).await?;
    let near = nearest_features(&loaded.sae, number, NEAR)?;
    let direction = match loaded.place.site {
        Site::ResidPost(layer) if loaded.place.site_out.is_none() => {
            let typical_norm = match loaded.typical_norm {
                Some(known) => known,
                None => {
                    let neutral = session.neutral()?;
                    let found = typical_norms(&mut session.engine, &[layer], &neutral, live, |_, _| {}).await?;
                    *loaded.typical_norm.insert(found.first().copied().unwrap_or(1.0))
                }
            };
            Direction::along(loaded.sae.direction(number)).map(|direction| LayerDirection {
                layer,
                direction,
                norm: logits.norm,
                typical_norm: typical_norm as f32,
                separability: None,
            })
        }
        _ => None,
    };
    let spelt = |tokens: &[WrittenToken]| -> Vec<(String, f32)> {
        tokens.iter().map(|found| (session.tokenizer.token_text(found.token), found.logit)).collect()
    };
    let card = FeatureCard {
        feature,
        positive: spelt(&logits.raises),
        negative: spelt(&logits.lowers),
        random: (
            logits.random_largest.iter().copied().fold(0.0, f32::max),
            logits.random_smallest.iter().copied().fold(0.0, f32::min),
        ),
        near: near.into_iter().map(|near| (near.feature, near.cosine)).collect(),
        seen: loaded.corpus.seen(number),
        direction,
    };
    Ok(Event::Feature { job: live.job, card })
}
