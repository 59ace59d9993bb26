//! The features of a sparse autoencoder: those of a text, what tells two texts apart, and one by itself.

mod ablate;
pub(super) mod corpus;
mod load;

use super::{reading, session};
use crate::desk::Bench;
use crate::failure::Stop;
use crate::live::Live;
pub use ablate::ablate;
use corpus::Corpus;
pub(super) use load::{CORPUS, WEIGHTS, install};
pub use load::{Unmapped, load};
use std::sync::Arc;
use tiller_engine::{Edit, Site};
use tiller_experiment::{SaePlace, Session, resolve_feature_edits};
use tiller_interp::evidence::CONTROL_SEEDS;
use tiller_interp::neurons::WrittenToken;
use tiller_interp::sae::{
    FeatureReading, PlacedDictionary, PlacedSae, feature_logits, label_tokens, nearest_features, sae_contrast,
    text_features,
};
use tiller_interp::typical_norms;
use tiller_protocol::{
    ContrastedFeature, Event, FeatureCard, FeatureContrast, FeatureInText, FeatureText, LayerDirection, RunSpec,
    TokenFeatures,
};
use tiller_recipe::{Direction, Prompt};
use tiller_sae::Sae;

/// Features that are named at each token, and followed through a text.
const TOP: usize = 12;
const FOLLOWED: usize = 40;
/// So many more are looked at where it is known how rare each is: the strongest are mostly those that are always active.
const CANDIDATES: usize = 10;
/// Tokens that a feature's card names on each side.
const LOGITS: usize = 10;
const NEAR: usize = 8;
/// Features that come with each token that is written, at most.
const MOST_FOLLOWED: u32 = 64;
/// Tokens of a prompt that are shown: as many as a person looks at.
const MOST_TOKENS: usize = 256;

/// An SAE in its place in the loaded model.
pub struct LoadedSae {
    /// One and the same as long as it is loaded: the device keeps its weights by that.
    sae: Arc<Sae>,
    place: SaePlace,
    corpus: Corpus,
    /// Mean length of the residual stream where it reads, once it was asked for.
    typical_norm: Option<f64>,
}

impl LoadedSae {
    pub(super) fn sae(&self) -> &Sae {
        &self.sae
    }

    pub(super) fn site(&self) -> Site {
        self.place.site
    }

    pub(super) fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    /// As the pass runs it.
    fn dictionary(&self) -> PlacedDictionary {
        self.place.dictionary(self.sae.clone())
    }

    fn placed(&self) -> PlacedSae<'_> {
        self.place.of(&self.sae)
    }
}

/// All edits of a run: those of vectors, then those of features.
pub async fn resolve_edits(bench: &mut Bench, live: &Live, run: &RunSpec) -> Result<Vec<Edit>, Stop> {
    let mut edits = session(bench)?.resolve_edits(&run.vectors, &run.edits, live).await?;
    if !run.feature_edits.is_empty() {
        let (_, loaded) = both(bench)?;
        edits.extend(resolve_feature_edits(&loaded.dictionary(), &run.feature_edits));
    }
    Ok(edits)
}

/// The label of the first feature that a run changes whose label names tokens of its own, and those.
pub fn changed_words(bench: &Bench, run: &RunSpec) -> Option<(String, Vec<u32>)> {
    let (session, loaded) = (bench.session.as_ref()?, bench.sae.as_ref()?);
    let tokenizer = &session.tokenizer;
    run.feature_edits.iter().find_map(|edit| {
        let (_, label) = loaded.corpus.labels().find(|(feature, _)| *feature == edit.feature)?;
        let vocabulary = (0..session.engine.config().vocab).map(|token| tokenizer.token_text(token));
        let words = label_tokens(&label.text, vocabulary)?;
        Some((label.text, words))
    })
}

/// The features that come with each token of a run, where they are asked for and an SAE is loaded.
pub fn reading_of(bench: &Bench, run: &RunSpec) -> Option<tiller_engine::FeatureReading> {
    let PlacedDictionary { site, dictionary } = bench.sae.as_ref().filter(|_| run.follow_features)?.dictionary();
    Some(tiller_engine::FeatureReading { site, sae: dictionary, most: MOST_FOLLOWED })
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

/// What tells two texts apart.
pub async fn contrast(bench: &mut Bench, live: &Live, texts: [&Prompt; 2]) -> Result<Event, Stop> {
    let (session, loaded) = both(bench)?;
    let mut tokens = [session.tokens(texts[0])?, session.tokens(texts[1])?];
    tokens.iter_mut().for_each(|tokens| tokens.truncate(MOST_TOKENS));
    let sides = [&*tokens[0], &*tokens[1]];
    let placed = loaded.place.of(&loaded.sae);
    let found =
        sae_contrast(&mut session.engine, &placed, sides, FOLLOWED, &CONTROL_SEEDS, live, reading(live)).await?;
    let feature = |found: &tiller_interp::sae::ContrastedFeature| ContrastedFeature {
        feature: found.feature,
        here: found.mean_a as f32,
        there: found.mean_b as f32,
    };
    let contrast = FeatureContrast {
        features: found.features.iter().map(feature).collect(),
        shuffled: found.shuffled_largest.iter().fold(0.0, |most, &largest| f64::max(most, largest)) as f32,
    };
    Ok(Event::FeaturesContrasted { job: live.job, contrast })
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
                    let mut neutral = session.neutral()?;
                    // A typical length is known from a part as well, where a model has little room.
                    neutral.truncate(session.engine.kv_rows().min(session.engine.config().context) as usize);
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
