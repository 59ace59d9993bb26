//! A probe on every token of a text.

use super::fit::Readout;
use crate::InterpError;
use serde::Serialize;
use tiller_engine::{Controls, Edit, Engine, EngineError, Harvest, Site, TapRows};

/// What a probe reads at one token. It was fitted to where texts are read as a whole, so that what it says of tokens on the
/// way there is its word, not evidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TokenScore {
    pub score: f64,
    pub probability: f64,
}

/// The probe's score at every token of a text, at the site that it was fitted at. `edits` act on the text as on a prompt.
/// Errors when the text is empty or too long, the probe is not as wide as the site, an activation is not finite, or the work
/// was cancelled.
pub async fn token_scores(
    engine: &mut Engine,
    readout: &Readout,
    site: Site,
    tokens: &[u32],
    edits: &[Edit],
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<Vec<TokenScore>, InterpError> {
    engine.config().check_site(site).map_err(EngineError::from)?;
    let width = engine.config().site_width(site, 0) as usize;
    if readout.weights.len() != width {
        let found = readout.weights.len();
        return Err(EngineError::VectorWidth { site, expected: width, found }.into());
    }
    let prompts = [tokens.to_vec()];
    let what = Harvest { prompts: &prompts, sites: &[site], rows: TapRows::All, edits };
    let mut scores = vec![TokenScore { score: 0.0, probability: 0.0 }; tokens.len()];
    engine
        .harvest(&what, controls, progress, |reading| {
            let score = readout.score(reading.values);
            scores[reading.position as usize] = TokenScore { score, probability: readout.probability(score) };
        })
        .await?;
    match scores.iter().all(|found| found.score.is_finite()) {
        true => Ok(scores),
        false => Err(InterpError::NotFinite { site }),
    }
}
