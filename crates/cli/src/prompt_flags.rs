//! The flags that say what the model is given to go on from.

use anyhow::bail;
use clap::Args;
use tiller_experiment::{PromptError, Session};
use tiller_recipe::{Prompt, Turn};

#[derive(Args, Clone, Debug)]
pub struct PromptFlags {
    /// The text, as it is; the model's own tokenizer says whether a BOS token comes first.
    #[arg(long, value_name = "TEXT", conflicts_with = "tokens")]
    prompt: Option<String>,
    /// Take the text as a user's message, in the model's chat template.
    #[arg(long, requires = "prompt")]
    chat: bool,
    /// Token ids in place of a text.
    #[arg(long, value_name = "ID,ID,..", value_delimiter = ',')]
    tokens: Option<Vec<u32>>,
}

/// What the model is to go on from.
pub enum Given {
    Tokens(Vec<u32>),
    Prompt(Prompt),
}

impl PromptFlags {
    /// What the flags say; `otherwise` where they say nothing.
    pub fn given(self, otherwise: Option<Prompt>) -> anyhow::Result<Given> {
        if let Some(tokens) = self.tokens {
            return Ok(Given::Tokens(tokens));
        }
        let prompt = self.prompt.map(|text| match self.chat {
            true => Prompt::Chat(vec![Turn { role: "user".into(), content: text }]),
            false => Prompt::Text(text),
        });
        match prompt.or(otherwise) {
            Some(prompt) => Ok(Given::Prompt(prompt)),
            None => bail!("there is nothing to go on from: give a text with --prompt, or token ids with --tokens"),
        }
    }
}

impl Given {
    pub fn tokens(&self, session: &Session) -> Result<Vec<u32>, PromptError> {
        match self {
            Given::Tokens(tokens) => Ok(tokens.clone()),
            Given::Prompt(prompt) => session.tokens(prompt),
        }
    }
}
