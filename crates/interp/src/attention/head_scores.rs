//! What kind of head a head is, by where it looks in a random text that repeats itself.

use crate::InterpError;
use serde::Serialize;
use tiller_engine::{Controls, Engine, Harvest, Site, TapRows};

/// Tokens of the random text before it repeats itself.
const PERIOD: usize = 24;

/// How much of its attention a head gives, on average over the text's second half, to certain tokens: each from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct HeadScores {
    pub layer: u32,
    pub head: u32,
    /// To the token before the one that looks.
    pub previous: f64,
    /// To the text's first token, where heads that find nothing rest.
    pub first: f64,
    /// To the earlier occurrence of the token that looks.
    pub duplicate: f64,
    /// To the token after that occurrence, which comes next if the text goes on repeating itself (Olsson et al. 2022,
    /// "In-context Learning and Induction Heads").
    pub induction: f64,
}

/// The scores of every head on a random token followed by 24 random ones, twice. `progress` is told the tokens done and
/// in all. Errors when an activation is not finite, or the work was cancelled.
pub async fn head_scores(
    engine: &mut Engine,
    seed: u32,
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<Vec<HeadScores>, InterpError> {
    let (layers, heads) = (engine.config().layers, engine.config().heads);
    let sites: Vec<Site> = (0..layers).map(Site::Pattern).collect();
    let prompts = [repeated_text(engine.config().vocab, seed)];
    let harvest = Harvest { prompts: &prompts, sites: &sites, rows: TapRows::All, edits: &[] };
    let name = |layer| (0..heads).map(move |head| HeadScores { layer, head, ..HeadScores::default() });
    let mut scores: Vec<HeadScores> = (0..layers).flat_map(name).collect();
    let mut not_finite = None;
    engine
        .harvest(&harvest, controls, progress, |reading| {
            let at = reading.position as usize;
            if at <= PERIOD {
                return;
            }
            let layer = reading.site.layer().expect("patterns are blocks'") as usize;
            let scores = &mut scores[layer * heads as usize..(layer + 1) * heads as usize];
            for (score, row) in scores.iter_mut().zip(reading.values.chunks_exact(at + 1)) {
                if !row.iter().all(|share| share.is_finite()) {
                    not_finite.get_or_insert(reading.site);
                }
                let share = |key: usize| f64::from(row[key]) / PERIOD as f64;
                score.previous += share(at - 1);
                score.first += share(0);
                score.duplicate += share(at - PERIOD);
                score.induction += share(at - PERIOD + 1);
            }
        })
        .await?;
    match not_finite {
        Some(site) => Err(InterpError::NotFinite { site }),
        None => Ok(scores),
    }
}

/// The text of [`head_scores`]: a random token, then random ones twice over, all different where the vocabulary is large
/// enough.
pub fn repeated_text(vocabulary: u32, seed: u32) -> Vec<u32> {
    let mut tokens: Vec<u32> = Vec::with_capacity(2 * PERIOD + 1);
    let numbers = crate::steer::random_direction(u64::from(seed), 64 * (PERIOD + 1));
    for number in numbers {
        // The low bits of a Gaussian number's mantissa are as good as uniform.
        let token = (number.to_bits() & 0x3f_ffff) % vocabulary;
        if tokens.len() <= PERIOD && (!tokens.contains(&token) || vocabulary <= PERIOD as u32) {
            tokens.push(token);
        }
    }
    tokens.extend_from_within(1..);
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_random_text_repeats_itself_and_its_tokens_differ() {
        for vocabulary in [30, 258, 49152] {
            let tokens = repeated_text(vocabulary, 5);
            assert_eq!(tokens.len(), 2 * PERIOD + 1);
            assert_eq!(tokens[1..=PERIOD], tokens[PERIOD + 1..]);
            let mut once = tokens[..=PERIOD].to_vec();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), PERIOD + 1);
            assert!(tokens.iter().all(|&token| token < vocabulary));
            assert_ne!(tokens, repeated_text(vocabulary, 6));
        }
    }
}
