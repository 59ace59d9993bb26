//! What a model loses when an activation is replaced.

use crate::InterpError;
use crate::log_softmax::LogSoftmax;
use std::sync::Arc;
use tiller_engine::{Controls, Edit, Engine, Logits, Operation, PatchRows, Site, TapRows, Variant, Variants};

/// Places of each text at which distributions are compared, evenly over it: each is a number for every token of the
/// vocabulary, and is kept for each run.
const COMPARED: usize = 8;

/// One text's log probabilities under each run: the plain one first.
#[derive(Clone, Debug, Default)]
pub(super) struct TextLoss {
    /// Negative log probability of the tokens that follow, summed; nats.
    pub loss: Vec<f64>,
    /// Kullback-Leibler divergence of the run's next-token distribution from the plain one, summed over the compared
    /// places.
    pub divergence: Vec<f64>,
    pub tokens: usize,
    pub compared: usize,
}

/// Runs a text as it is, and with each of `replacements` (by position) in the place of `site`. Whatever comes after the
/// first token counts.
pub(super) async fn text_loss(
    engine: &mut Engine,
    text: &[u32],
    site: Site,
    replacements: Vec<Vec<(u32, Vec<f32>)>>,
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<TextLoss, InterpError> {
    let runs_in_all = replacements.len() + 1;
    let patch = |rows: Vec<(u32, Vec<f32>)>| {
        Edit::new(site, Operation::Patch { rows: Arc::new(PatchRows(rows)), coefficient: 1.0 })
    };
    let edits: Vec<Edit> = replacements.into_iter().map(patch).collect();
    let positions = 1..text.len() as u32;
    let plain = Variant { edit: None, positions: positions.clone() };
    let edited = (0..edits.len()).map(|edit| Variant { edit: Some(edit), positions: positions.clone() });
    let runs: Vec<Variant> = std::iter::once(plain).chain(edited).collect();
    // Positions that have a next token, but for the first.
    let counted = text.len().saturating_sub(2);
    let every = counted.div_ceil(COMPARED).max(1);
    let mut found = TextLoss {
        loss: vec![0.0; runs_in_all],
        divergence: vec![0.0; runs_in_all],
        tokens: counted,
        compared: counted.div_ceil(every),
    };
    let mut kept: Vec<Vec<Option<LogSoftmax>>> = vec![vec![None; counted]; runs_in_all];
    let mut overdriven = false;
    let variants = Variants { tokens: text, edits: &edits, runs: &runs, rows: TapRows::All, logits: Logits::All };
    engine
        .run_variants(&variants, controls, progress, |run, position, logits| {
            let position = position as usize;
            let Some(&next) = text.get(position + 1).filter(|_| position > 0) else { return };
            let Some(distribution) = LogSoftmax::of(logits) else {
                overdriven = true;
                return;
            };
            found.loss[run] -= distribution.at(next as usize);
            if (position - 1).is_multiple_of(every) {
                kept[run][position - 1] = Some(distribution);
            }
        })
        .await?;
    if overdriven {
        return Err(InterpError::Overdriven);
    }
    let (plain, edited) = kept.split_first().expect("the plain run is the first");
    for (run, kept) in edited.iter().enumerate() {
        let pairs = kept.iter().zip(plain).filter_map(|(edited, plain)| edited.as_ref().zip(plain.as_ref()));
        // Of the plain one from the edited: `sum p_plain (ln p_plain - ln p_edited)`.
        found.divergence[run + 1] = pairs.map(|(edited, plain)| plain.divergence(edited)).sum();
    }
    Ok(found)
}
