//! What a model with edits would have written, and what it would not.

use super::at_listed;
use crate::InterpError;
use crate::log_softmax::LogSoftmax;
use crate::steer::TokenPair;
use tiller_engine::{Controls, Edit, Engine, Harvest, Site, TapRows};

/// The share of the neutral text that is read as a prompt is one in this many of its tokens.
const OPENING: usize = 4;

/// Places of the neutral text at which distributions are compared, evenly over it: each is a number for every token of
/// the vocabulary, and is kept.
const COMPARED: usize = 16;

/// A neutral text as the model without edits reads it: what edits cost is told beside it.
pub(crate) struct Neutral<'a> {
    tokens: &'a [u32],
    pub perplexity: f64,
    /// By position, ascending.
    compared: Vec<(usize, LogSoftmax)>,
}

/// What edits cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    /// Of the neutral text.
    pub perplexity: f64,
    /// Kullback-Leibler divergence of the edited next-token distribution from the plain one, in nats, mean over
    /// [`COMPARED`] places of the neutral text.
    pub divergence: f64,
}

/// `tokens`, of which the first quarter counts as the prompt and the rest as written by the model.
pub(super) fn opening(tokens: &[u32]) -> Result<usize, InterpError> {
    match tokens.len() / OPENING {
        0 => Err(InterpError::NeutralTooShort { tokens: tokens.len(), needed: OPENING }),
        opening => Ok(opening),
    }
}

/// `exp` of the mean negative log probability of the text's tokens after its opening.
pub(crate) async fn perplexity(
    engine: &mut Engine,
    tokens: &[u32],
    edits: &[Edit],
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
    mut at: impl FnMut(usize, &LogSoftmax),
) -> Result<f64, InterpError> {
    let opening = opening(tokens)?;
    let edits: Vec<Edit> = edits.iter().map(|edit| at_listed(edit, opening, tokens.len())).collect();
    let texts = [tokens.to_vec()];
    let mut log_prob = 0.0;
    log_probs(engine, &texts, &edits, controls, progress, |_, position, next, distribution| {
        if position + 1 >= opening {
            log_prob += distribution.at(next as usize);
            at(position, distribution);
        }
    })
    .await?;
    Ok((-log_prob / (tokens.len() - opening) as f64).exp())
}

impl<'a> Neutral<'a> {
    /// Reads the text without edits. Errors where it is too short or too long, and as the engine's harvest.
    pub async fn read(
        engine: &mut Engine,
        tokens: &'a [u32],
        controls: &impl Controls,
        progress: impl FnMut(u64, u64),
    ) -> Result<Neutral<'a>, InterpError> {
        let (first, last) = (opening(tokens)? - 1, tokens.len() - 1);
        let every = (last - first).div_ceil(COMPARED).max(1);
        let mut compared = Vec::new();
        let perplexity = perplexity(engine, tokens, &[], controls, progress, |position, distribution| {
            if (position - first).is_multiple_of(every) {
                compared.push((position, distribution.clone()));
            }
        })
        .await?;
        Ok(Neutral { tokens, perplexity, compared })
    }

    /// What `edits` cost. Errors when an output is not finite ([`InterpError::Overdriven`]), and as the engine's harvest.
    pub async fn cost(
        &self,
        engine: &mut Engine,
        edits: &[Edit],
        controls: &impl Controls,
        progress: impl FnMut(u64, u64),
    ) -> Result<Cost, InterpError> {
        let mut divergence = 0.0;
        let perplexity = perplexity(engine, self.tokens, edits, controls, progress, |position, edited| {
            if let Ok(n) = self.compared.binary_search_by_key(&position, |(position, _)| *position) {
                divergence += edited.divergence(&self.compared[n].1);
            }
        })
        .await?;
        Ok(Cost { perplexity, divergence: divergence / self.compared.len() as f64 })
    }
}

/// For each pair, how much likelier its positive text is than its negative one, in nats: the difference of the log
/// probabilities of their tokens after the first. With edits, as if the model were writing the texts.
///
/// What edits add to it is an effect on the concept, not on any one word: positive and negative texts share most of
/// what a shifted model would find likelier or less likely, and that falls out of the difference.
pub(crate) async fn log_odds(
    engine: &mut Engine,
    pairs: &[TokenPair],
    edits: &[Edit],
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<Vec<f64>, InterpError> {
    let texts: Vec<Vec<u32>> = pairs.iter().flat_map(|pair| [pair.positive.clone(), pair.negative.clone()]).collect();
    let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
    let edits: Vec<Edit> = edits.iter().map(|edit| at_listed(edit, 1, longest)).collect();
    let mut odds = vec![0.0; pairs.len()];
    log_probs(engine, &texts, &edits, controls, progress, |text, _, next, distribution| {
        let sign = if text % 2 == 0 { 1.0 } else { -1.0 };
        odds[text / 2] += sign * distribution.at(next as usize);
    })
    .await?;
    Ok(odds)
}

/// The log probability of each ending after `prompt`, in nats: the sum over its tokens. With edits, as if the prompt had
/// been given and the model were writing the ending.
pub(crate) async fn ending_log_probs(
    engine: &mut Engine,
    prompt: &[u32],
    endings: &[&[u32]],
    edits: &[Edit],
    controls: &impl Controls,
) -> Result<Vec<f64>, InterpError> {
    let texts: Vec<Vec<u32>> = endings.iter().map(|ending| [prompt, ending].concat()).collect();
    let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
    let edits: Vec<Edit> = edits.iter().map(|edit| at_listed(edit, prompt.len(), longest)).collect();
    let mut found = vec![0.0; endings.len()];
    log_probs(
        engine,
        &texts,
        &edits,
        controls,
        |_, _| {},
        |text, position, next, distribution| {
            if position + 1 >= prompt.len() {
                found[text] += distribution.at(next as usize);
            }
        },
    )
    .await?;
    Ok(found)
}

/// Hands `sink` the distribution after each token but the last of each text, with the text's number, the position, and
/// the token that comes next.
async fn log_probs(
    engine: &mut Engine,
    texts: &[Vec<u32>],
    edits: &[Edit],
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
    mut sink: impl FnMut(usize, usize, u32, &LogSoftmax),
) -> Result<(), InterpError> {
    let what = Harvest { prompts: texts, sites: &[Site::Logits], rows: TapRows::All, edits };
    let mut overdriven = false;
    engine
        .harvest(&what, controls, progress, |reading| {
            let (text, position) = (reading.prompt, reading.position as usize);
            let Some(&next) = texts[text].get(position + 1) else { return };
            match LogSoftmax::of(reading.values) {
                Some(distribution) => sink(text, position, next, &distribution),
                None => overdriven = true,
            }
        })
        .await?;
    if overdriven { Err(InterpError::Overdriven) } else { Ok(()) }
}
