//! The flags that say which answer interventions are judged by.

use clap::Args;
use tiller_experiment::{PromptError, Session};
use tiller_interp::patch::Metric;
use tiller_recipe::{Prompt, Turn};

/// The seeds of `count` random controls.
pub fn control_seeds(count: impl Into<u32>) -> Vec<u32> {
    (1..=count.into()).collect()
}

#[derive(Args, Clone, Debug)]
pub struct AnswerFlags {
    /// The token that is right, spelt with its space, as in " Mary".
    #[arg(long, value_name = "TOKEN")]
    answer: String,
    /// The token that is wrong: effects are on the logit of the answer less that of this one [default: effects are on the
    /// answer's log probability].
    #[arg(long, value_name = "TOKEN")]
    wrong: Option<String>,
}

impl AnswerFlags {
    pub fn metric(&self, session: &Session) -> Result<Metric, PromptError> {
        let answer = session.one_token(&self.answer)?;
        Ok(match &self.wrong {
            Some(wrong) => Metric::LogitDifference { answer, wrong: session.one_token(wrong)? },
            None => Metric::LogProbability { token: answer },
        })
    }
}

/// A text as it is, or as a user's message.
pub fn prompt(text: String, chat: bool) -> Prompt {
    match chat {
        true => Prompt::Chat(vec![Turn { role: "user".into(), content: text }]),
        false => Prompt::Text(text),
    }
}
