//! What edits of features do to the odds of some words after prompts, beside other features and random directions.

use super::{Estimate, along_random, at_the_prompts_end, randomised};
use crate::InterpError;
use crate::log_softmax::LogSoftmax;
use serde::Serialize;
use tiller_engine::{Controls, Edit, Engine, Harvest, Site, TapRows};

/// Which controls stand beside an effect: one for each seed.
#[derive(Clone, Copy, Debug)]
pub struct WordSeeds<'a> {
    /// Along the directions of other features.
    pub others: &'a [u32],
    /// Along random directions.
    pub random: &'a [u32],
}

impl WordSeeds<'_> {
    /// Controls in all.
    pub(crate) fn len(&self) -> u64 {
        (self.others.len() + self.random.len()) as u64
    }

    /// Tokens that [`word_effect`] reads of `prompts`.
    pub fn reads(&self, prompts: &[Vec<u32>]) -> u64 {
        tokens(prompts) * (2 + self.len())
    }
}

/// Prompts in two halves: those at even places choose, those at odd ones report.
pub fn halves(prompts: &[Vec<u32>]) -> [Vec<Vec<u32>>; 2] {
    [0, 1].map(|odd| prompts.iter().skip(odd).step_by(2).cloned().collect())
}

/// How much likelier edits make the words that are named.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WordEffect {
    /// By how many nats the log odds that the next token is one of the words rise: mean over the prompts.
    pub effect: Estimate,
    /// The same mean for as long a step, at the same tokens, along the direction of another feature of the same SAE: one
    /// for each seed. Edits of vectors have random ones here too.
    pub others: Vec<f64>,
    /// The same along a random direction.
    pub random: Vec<f64>,
}

impl WordEffect {
    /// The furthest that a control goes, either way.
    pub fn furthest_control(&self) -> f64 {
        self.others.iter().chain(&self.random).fold(0.0, |furthest, control| f64::max(furthest, control.abs()))
    }

    /// Whether all of the interval is further up than any control goes, either way.
    pub fn is_above_controls(&self) -> bool {
        self.effect.interval.is_some_and(|(low, _)| low > self.furthest_control())
    }

    /// Whether all of it is further down.
    pub fn is_below_controls(&self) -> bool {
        self.effect.interval.is_some_and(|(_, high)| high < -self.furthest_control())
    }
}

/// Prompts, and what the model without edits makes of each.
pub(crate) struct NextWords<'a> {
    prompts: &'a [Vec<u32>],
    plain: Vec<LogSoftmax>,
}

/// What edits do to the odds of `words` as the next token after each prompt: the rise of `ln p - ln (1 - p)`, with p the
/// probability of them all. That is what is left of a change once all tokens' share of it is taken off.
///
/// `words`: token ids, ascending; some of the vocabulary, and not all. Edits of written tokens alone act on the prompt's
/// last one, as in [`measure`](super::measure). `progress` is told the tokens
/// done and in all. Errors where no words are named, a prompt is empty or too long, an edit does not fit the model, an
/// output is not finite, or the work was cancelled.
pub async fn word_effect(
    engine: &mut Engine,
    edits: &[Edit],
    words: &[u32],
    prompts: &[Vec<u32>],
    seeds: WordSeeds<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<WordEffect, InterpError> {
    let (each, total) = (tokens(prompts), seeds.reads(prompts));
    let plain = NextWords::read(engine, prompts, controls, |done, _| progress(done, total)).await?;
    plain.effect(engine, edits, words, seeds, controls, |done| progress(each + done, total)).await
}

/// Tokens of some prompts.
pub(crate) fn tokens(prompts: &[Vec<u32>]) -> u64 {
    prompts.iter().map(|prompt| prompt.len() as u64).sum()
}

impl<'a> NextWords<'a> {
    pub async fn read(
        engine: &mut Engine,
        prompts: &'a [Vec<u32>],
        controls: &impl Controls,
        progress: impl FnMut(u64, u64),
    ) -> Result<NextWords<'a>, InterpError> {
        let plain = next_tokens(engine, prompts, &[], controls, progress, LogSoftmax::clone).await?;
        Ok(NextWords { prompts, plain })
    }

    /// By prompt, by how many nats `edits` raise the log odds of `words`.
    pub async fn rises(
        &self,
        engine: &mut Engine,
        edits: &[Edit],
        words: &[u32],
        controls: &impl Controls,
        progress: impl FnMut(u64, u64),
    ) -> Result<Vec<f64>, InterpError> {
        let vocabulary = self.plain.first().map_or(0, |plain| plain.logits().len());
        let is_ascending = words.windows(2).all(|pair| pair[0] < pair[1]);
        if words.is_empty()
            || words.len() >= vocabulary
            || !is_ascending
            || words[words.len() - 1] as usize >= vocabulary
        {
            return Err(InterpError::NoWords);
        }
        let odds = |next: &LogSoftmax| next.log_odds(words);
        let edited = next_tokens(engine, self.prompts, edits, controls, progress, odds).await?;
        let rises: Vec<f64> = edited.iter().zip(&self.plain).map(|(edited, plain)| edited - odds(plain)).collect();
        if rises.iter().all(|rise| rise.is_finite()) { Ok(rises) } else { Err(InterpError::Overdriven) }
    }

    /// What `edits` do to the odds of `words`, beside their controls. A control that drives the outputs out of numbers is
    /// missing. `progress` is told the tokens done.
    pub async fn effect(
        &self,
        engine: &mut Engine,
        edits: &[Edit],
        words: &[u32],
        seeds: WordSeeds<'_>,
        controls: &impl Controls,
        mut progress: impl FnMut(u64),
    ) -> Result<WordEffect, InterpError> {
        let mut done = 0;
        let own = self.rises(engine, edits, words, controls, |now, _| progress(done + now)).await?;
        let others = seeds.others.iter().map(|&seed| randomised(edits, seed));
        let random = seeds.random.iter().map(|&seed| along_random(edits, seed));
        let drawn: Vec<Vec<Edit>> = others.chain(random).collect();
        let mut found = [Vec::with_capacity(seeds.others.len()), Vec::with_capacity(seeds.random.len())];
        for (n, edits) in drawn.iter().enumerate() {
            done += tokens(self.prompts);
            match self.rises(engine, edits, words, controls, |now, _| progress(done + now)).await {
                Ok(rises) => {
                    let mean = rises.iter().sum::<f64>() / rises.len() as f64;
                    found[usize::from(n >= seeds.others.len())].push(mean);
                }
                Err(InterpError::Overdriven) => {}
                Err(error) => return Err(error),
            }
        }
        let effect = Estimate::of(&own).ok_or(InterpError::NoQueries)?;
        let [others, random] = found;
        Ok(WordEffect { effect, others, random })
    }
}

/// What `read` makes of the distribution of the next token after each prompt.
async fn next_tokens<T>(
    engine: &mut Engine,
    prompts: &[Vec<u32>],
    edits: &[Edit],
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
    read: impl Fn(&LogSoftmax) -> T,
) -> Result<Vec<T>, InterpError> {
    let edits: Vec<Edit> = edits.iter().map(at_the_prompts_end).collect();
    let what = Harvest { prompts, sites: &[Site::Logits], rows: TapRows::Picks, edits: &edits };
    let mut found: Vec<Option<T>> = prompts.iter().map(|_| None).collect();
    let sink = |reading: tiller_engine::Reading<'_>| {
        found[reading.prompt] = LogSoftmax::of(reading.values).map(|next| read(&next));
    };
    engine.harvest(&what, controls, progress, sink).await?;
    found.into_iter().collect::<Option<Vec<T>>>().ok_or(InterpError::Overdriven)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_stands_out_only_beyond_the_controls_either_way() {
        let of = |rises: &[f64], others: &[f64], random: &[f64]| {
            let effect = Estimate::of(rises).unwrap();
            let found = WordEffect { effect, others: others.into(), random: random.into() };
            (found.is_above_controls(), found.is_below_controls())
        };
        let up = [2.0, 2.2, 1.8, 2.1];
        let down = up.map(|rise| -rise);
        assert_eq!(of(&up, &[0.3, -0.5], &[0.1]), (true, false));
        assert_eq!(of(&down, &[0.3, -0.5], &[0.1]), (false, true));
        assert_eq!(of(&up, &[0.3], &[-1.9]), (false, false), "a random direction goes as far the other way");
        assert_eq!(of(&up, &[1.9], &[]), (false, false), "the interval reaches another feature");
        assert_eq!(of(&[6.0, -4.0, 5.0, -3.0], &[0.0], &[0.0]), (false, false), "the interval has zero");
        assert_eq!(of(&[5.0], &[0.0], &[0.0]), (false, false), "one prompt has no interval");
    }
}
