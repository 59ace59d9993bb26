//! From a recipe's prompt to token ids.

use tiller_model::{ChatTemplate, ChatTemplateError, Message, Tokenizer, TokenizerError};
use tiller_recipe::Prompt;

/// Why a prompt cannot be given to this model.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    #[error("this model has no chat template: switch to raw text")]
    NoTemplate,
    #[error(transparent)]
    Template(#[from] ChatTemplateError),
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    #[error("{text:?} is not one token of this model but {}: name one of these", listed(.tokens))]
    NotOneToken { text: String, tokens: Vec<String> },
    #[error(
        "the clean prompt has {} tokens and the corrupt one {}, which must be as many: {} | {}",
        .clean.len(), .corrupt.len(), listed(.clean), listed(.corrupt)
    )]
    UnequalPrompts { clean: Vec<String>, corrupt: Vec<String> },
}

fn listed(tokens: &[String]) -> String {
    match tokens {
        [] => "none at all".into(),
        _ => tokens.iter().map(|token| format!("{token:?}")).collect::<Vec<_>>().join(", "),
    }
}

/// The one token that `text` is. Most words have a token of their own only with the space before them.
pub(crate) fn one_token(text: &str, tokenizer: &Tokenizer) -> Result<u32, PromptError> {
    match tokenizer.encode(text, false, true)?[..] {
        [token] => Ok(token),
        ref tokens => {
            let tokens = tokens.iter().take(8).map(|&token| tokenizer.token_text(token)).collect();
            Err(PromptError::NotOneToken { text: text.into(), tokens })
        }
    }
}

/// The tokens of two prompts that are to have as many. An error shows them.
pub(crate) fn equal_tokens(
    clean: &Prompt,
    corrupt: &Prompt,
    tokenizer: &Tokenizer,
    template: Option<&ChatTemplate>,
) -> Result<[Vec<u32>; 2], PromptError> {
    let [clean, corrupt] = [tokens(clean, tokenizer, template)?, tokens(corrupt, tokenizer, template)?];
    if clean.len() == corrupt.len() {
        return Ok([clean, corrupt]);
    }
    let spelt = |tokens: &[u32]| tokens.iter().map(|&token| tokenizer.token_text(token)).collect();
    Err(PromptError::UnequalPrompts { clean: spelt(&clean), corrupt: spelt(&corrupt) })
}

/// Raw text gets the special tokens that the model's own tokenizer adds, and none that its text may spell. A
/// conversation is rendered with the model's template, whose own special tokens are recognised.
pub(crate) fn tokens(
    prompt: &Prompt,
    tokenizer: &Tokenizer,
    template: Option<&ChatTemplate>,
) -> Result<Vec<u32>, PromptError> {
    let turns = match prompt {
        Prompt::Text(text) => return Ok(tokenizer.encode(text, true, false)?),
        Prompt::Chat(turns) => turns,
    };
    let template = template.ok_or(PromptError::NoTemplate)?;
    let messages: Vec<Message> = turns.iter().map(|turn| Message::new(&turn.role, &turn.content)).collect();
    let spelled = |id: Option<u32>| id.map(|id| tokenizer.token_text(id)).unwrap_or_default();
    let bos = spelled(tokenizer.bos());
    let text = template.render(&messages, true, &bos, &spelled(tokenizer.eos()))?;
    // Some templates spell the BOS token themselves; it must not come twice.
    let begins_with_bos = !bos.is_empty() && text.starts_with(&bos);
    Ok(tokenizer.encode(&text, !begins_with_bos, true)?)
}
