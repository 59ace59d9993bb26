//! Word pairs as prompts that demonstrate a task.

use crate::{PromptError, Session};
use tiller_interp::function_vector::{Query, TaskPrompts};
use tiller_interp::shuffled;
use tiller_recipe::{Prompt, WordPair};

/// Sets of demonstrations for each query of which the vector is made.
const ROUNDS: u64 = 4;

/// Pairs that a task needs: each half has to demonstrate and to ask.
pub const FEWEST_WORD_PAIRS: usize = 8;

/// Why word pairs are no task for this model.
#[derive(Debug, thiserror::Error)]
pub enum FunctionPromptsError {
    #[error(transparent)]
    Prompt(#[from] PromptError),
    #[error(
        "there are {found} pairs of words, and at least {FEWEST_WORD_PAIRS} are needed: one half makes the vector, the other reports"
    )]
    TooFewPairs { found: usize },
    #[error("{asked} demonstrations are too many or too few: with these pairs there may be 2 to {most}")]
    Demonstrations { asked: usize, most: usize },
}

impl Session {
    /// The task in tokens (Todd et al. 2024, "Function Vectors in Large Language Models", whose template this is): pairs
    /// at even places demonstrate, make the vector and choose; those at odd places are asked when it is reported, after
    /// demonstrations by the others. `demonstrations`: pairs before a query. Shuffled prompts have the same words, each
    /// demonstrated input with another's output.
    ///
    /// Errors for fewer than [`FEWEST_WORD_PAIRS`], or fewer than 2 demonstrations or more than a half can give.
    pub fn function_prompts(
        &self,
        pairs: &[WordPair],
        demonstrations: usize,
    ) -> Result<TaskPrompts, FunctionPromptsError> {
        if pairs.len() < FEWEST_WORD_PAIRS {
            return Err(FunctionPromptsError::TooFewPairs { found: pairs.len() });
        }
        let half = |odd: usize| -> Vec<&WordPair> { pairs.iter().skip(odd).step_by(2).collect() };
        let (own, others) = (half(0), half(1));
        let most = own.len() - 1;
        if !(2..=most).contains(&demonstrations) {
            return Err(FunctionPromptsError::Demonstrations { asked: demonstrations, most });
        }
        let query = |of: &WordPair, before: &[(&str, &str)]| -> Result<Query, PromptError> {
            let shown: String = before.iter().map(|(input, output)| format!("Q: {input}\nA: {output}\n\n")).collect();
            let prompt = self.tokens(&Prompt::Text(format!("{shown}Q: {}\nA:", of.input)))?;
            Ok(Query { prompt, answer: self.first_token(&format!(" {}", of.output))? })
        };
        let demonstrated = |of: &WordPair, seed: u64, shuffle: bool| {
            let order = shuffled(seed, own.len()).into_iter().map(|n| own[n]).filter(|pair| pair.input != of.input);
            let before: Vec<&WordPair> = order.take(demonstrations).collect();
            let output = |n: usize| before[if shuffle { (n + 1) % before.len() } else { n }].output.as_str();
            let before: Vec<(&str, &str)> =
                before.iter().enumerate().map(|(n, pair)| (pair.input.as_str(), output(n))).collect();
            query(of, &before)
        };
        let all = |of: &[&WordPair], rounds: u64, shuffle: bool| -> Result<Vec<Query>, PromptError> {
            let seeds = (0..rounds).flat_map(|round| (0..of.len() as u64).map(move |n| (n as usize, round << 32 | n)));
            seeds.map(|(n, seed)| demonstrated(of[n], seed, shuffle)).collect()
        };
        let bare = |of: &[&WordPair]| of.iter().map(|pair| query(pair, &[])).collect::<Result<Vec<Query>, _>>();
        Ok(TaskPrompts {
            demonstrated: all(&own, ROUNDS, false)?.into_iter().map(|query| query.prompt).collect(),
            shuffled: all(&own, ROUNDS, true)?.into_iter().map(|query| query.prompt).collect(),
            choosing: bare(&own)?,
            reporting: bare(&others)?,
            reporting_demonstrated: all(&others, 1, false)?,
            reporting_shuffled: all(&others, 1, true)?,
        })
    }

    /// The first token of a text that goes on from another.
    fn first_token(&self, text: &str) -> Result<u32, PromptError> {
        let none = || PromptError::NotOneToken { text: text.into(), tokens: Vec::new() };
        self.tokenizer.encode(text, false, false)?.first().copied().ok_or_else(none)
    }
}
