//! From a recipe's prompt to token ids.

use tiller_model::{ChatTemplate, Message, ModelError, Tokenizer};
use tiller_recipe::Prompt;

/// Why a prompt cannot be given to this model.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    #[error("this model has no chat template: switch to raw text")]
    NoTemplate,
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Raw text gets the special tokens that the model's own tokenizer adds, and none that its text may spell. A
/// conversation is rendered with the model's template, whose own special tokens are recognised.
pub(crate) fn tokens(
    prompt: &Prompt,
    tokenizer: &Tokenizer,
    template: Option<&ChatTemplate>,
) -> Result<Vec<u32>, PromptError> {
    match prompt {
        Prompt::Text(text) => Ok(tokenizer.encode(text, true, false)?),
        Prompt::Chat(turns) => {
            let template = template.ok_or(PromptError::NoTemplate)?;
            let message = |turn: &tiller_recipe::Turn| Message { role: turn.role.clone(), content: turn.content.clone() };
            let messages: Vec<Message> = turns.iter().map(message).collect();
            let text = template.render(&messages, true)?;
            Ok(tokenizer.encode(&text, !template.writes_bos(), true)?)
        }
    }
}
