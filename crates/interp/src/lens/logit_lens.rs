//! The logit lens.

use super::rank::{RankedToken, TokenProbability, most_probable};
use super::translators::TunedLens;
use crate::InterpError;
use crate::log_softmax::LogSoftmax;
use serde::Serialize;
use std::ops::Range;
use tiller_engine::{Controls, Edit, Engine, Harvest, Site, TapRows};

/// What to read.
#[derive(Clone, Debug)]
pub struct LensReading<'a> {
    /// The text.
    pub tokens: &'a [u32],
    /// The positions to look at; the whole text is read in any case.
    pub positions: Range<usize>,
    /// Tokens to follow through the layers.
    pub watched: &'a [u32],
    /// How many of the most probable tokens to name.
    pub top: usize,
    /// They act on the text as on a prompt.
    pub edits: &'a [Edit],
    /// What each place's residual stream goes through before the final norm; `None`: nothing, which is the logit lens.
    pub tuned: Option<&'a TunedLens>,
}

/// What the lens shows of the residual stream at one place in the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LensLayer {
    #[serde(serialize_with = "as_text")]
    pub site: Site,
    /// By position, from the first that was asked for.
    pub cells: Vec<LensCell>,
}

/// The next token, as the residual stream of one token has it at one place in the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LensCell {
    /// The most probable tokens, descending.
    pub top: Vec<TokenProbability>,
    /// Of the whole distribution, in nats.
    pub entropy: f64,
    /// The token that the model itself finds most probable here, after its last block.
    pub output: RankedToken,
    /// The token that does come next; `None` at the end of the text.
    pub next: Option<RankedToken>,
    /// One for each token that is watched.
    pub watched: Vec<RankedToken>,
}

/// Reads the residual stream before the first block and after each, as if the model ended there: its own final norm,
/// computed afresh for each place, then its unembedding and soft cap (nostalgebraist 2020, "interpreting GPT: the logit
/// lens"); a tuned lens's translators come before the norm. Weights are the model's own, neither folded nor centred.
///
/// `sink` is given one place after the other, the last block's output first, which is the model's own prediction.
/// `progress` is told the work done and in all. Errors when the text is empty or too long, a position or a token is not
/// there, an activation is not finite, or the work was cancelled.
pub async fn logit_lens(
    engine: &mut Engine,
    what: &LensReading<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
    mut sink: impl FnMut(LensLayer),
) -> Result<(), InterpError> {
    let positions = what.positions.clone();
    if positions.is_empty() || positions.end > what.tokens.len() {
        return Err(InterpError::NoPositions { tokens: what.tokens.len() });
    }
    if let Some(&token) = what.watched.iter().find(|&&token| token >= engine.config().vocab) {
        return Err(tiller_engine::EngineError::UnknownToken(token).into());
    }
    let sites: Vec<Site> = places(engine.config().layers).collect();
    let width = engine.config().width as usize;
    if let Some(tuned) = what.tuned {
        tuned.check(engine.config().layers, width)?;
    }
    let rows = sites.len() * positions.len();
    let total = (what.tokens.len() + rows) as u64;

    let mut residuals = vec![0.0; rows * width];
    let mut not_finite = None;
    let prompts = [what.tokens.to_vec()];
    let harvest = Harvest { prompts: &prompts, sites: &sites, rows: TapRows::All, edits: what.edits };
    let report = |done, _| progress(done, total);
    engine
        .harvest(&harvest, controls, report, |reading| {
            let position = reading.position as usize;
            if !positions.contains(&position) {
                return;
            }
            if !reading.values.iter().all(|value| value.is_finite()) {
                not_finite.get_or_insert(reading.site);
            }
            let place = sites.iter().position(|&site| site == reading.site).expect("it was asked for");
            let row = place * positions.len() + position - positions.start;
            let residual = &mut residuals[row * width..(row + 1) * width];
            residual.copy_from_slice(reading.values);
            if let Some(translator) = what.tuned.and_then(|tuned| tuned.at(reading.site)) {
                translator.apply(residual);
            }
        })
        .await?;
    if let Some(site) = not_finite {
        return Err(InterpError::NotFinite { site });
    }

    let mut output: Vec<u32> = Vec::with_capacity(positions.len());
    let mut cells: Vec<LensCell> = Vec::with_capacity(positions.len());
    let mut not_finite = None;
    let read = what.tokens.len() as u64;
    let report = |done, _| progress(read + done, total);
    engine
        .unembed(&residuals, controls, report, |row, logits| {
            let (place, column) = (row / positions.len(), row % positions.len());
            let Some(distribution) = LogSoftmax::of(logits) else {
                not_finite.get_or_insert(sites[place]);
                return;
            };
            let top = most_probable(&distribution, what.top.max(1));
            if place == 0 {
                output.push(top[0].token);
            }
            let ranked = |token: u32| RankedToken::of(&distribution, token);
            cells.push(LensCell {
                entropy: distribution.entropy(),
                // Where an earlier row was not finite, the whole is refused at the end.
                output: ranked(output.get(column).copied().unwrap_or(0)),
                next: what.tokens.get(positions.start + column + 1).map(|&token| ranked(token)),
                watched: what.watched.iter().map(|&token| ranked(token)).collect(),
                top: top.into_iter().take(what.top).collect(),
            });
            if column + 1 == positions.len() && not_finite.is_none() {
                sink(LensLayer { site: sites[place], cells: std::mem::take(&mut cells) });
            }
        })
        .await?;
    match not_finite {
        Some(site) => Err(InterpError::NotFinite { site }),
        None => Ok(()),
    }
}

/// The residual stream after each block, the last first, and before the first one.
pub(super) fn places(layers: u32) -> impl Iterator<Item = Site> {
    (0..layers).rev().map(Site::ResidPost).chain([Site::ResidPre(0)])
}

pub(super) fn as_text<S: serde::Serializer>(site: &Site, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(site)
}
