//! What the model loses without a feature, where a corpus says that it fires.

use super::both;
use crate::desk::Bench;
use crate::failure::Stop;
use crate::jobs::{estimate, reading};
use crate::live::Live;
use tiller_interp::evidence::CONTROL_SEEDS;
use tiller_interp::sae::{FeatureAblation, feature_ablation};
use tiller_protocol::{Event, FeatureLoss};

/// Tokens of a text: passages of a corpus are seldom longer.
const LONGEST: usize = 128;

pub async fn ablate(bench: &mut Bench, live: &Live, feature: u32) -> Result<Event, Stop> {
    let (session, loaded) = both(bench)?;
    let texts = loaded.corpus.texts_of(feature as usize);
    let most = session.engine.kv_rows() as usize;
    let texts = session.stretches(&texts, LONGEST.min(most), texts.len() * LONGEST)?.tokens;
    if texts.is_empty() {
        let remedy = "Its files name no text on which it fires. Choose another, or train one on your own text.";
        return Err(Stop::failed("Nothing is known of where this feature fires", remedy));
    }
    let what = FeatureAblation { texts: &texts, passages: texts.len(), features: &[feature], seeds: &CONTROL_SEEDS };
    let found = feature_ablation(&mut session.engine, &loaded.placed(), &what, live, reading(live)).await?;
    let found = found.into_iter().next();
    let increase = found.as_ref().and_then(|found| found.increase);
    let loss = FeatureLoss {
        feature,
        passages: found.as_ref().map_or(0, |found| found.passages as u32),
        tokens: found.as_ref().map_or(0, |found| found.tokens as u32),
        increase: increase.map(estimate),
        random: found.map_or(Vec::new(), |found| found.random),
    };
    Ok(Event::FeatureAblated { job: live.job, loss })
}
