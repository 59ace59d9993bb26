//! Chat templates: from messages to the text that a chat model was trained on.

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value, context};
use minijinja_contrib::pycompat;
use serde::{Deserialize, Serialize};
use tiller_formats::{Gguf, GgufError};

/// Instructions that a template may execute; the longest in use take a few thousand for a long conversation.
const FUEL: u64 = 1_000_000;
/// Bytes of a template; the longest in use have about 20 kB.
const LONGEST: usize = 256 << 10;
const NAME: &str = "chat template";

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

/// A model's own chat template (Jinja), compiled as `transformers` compiles it: blocks take their line with them, and
/// Python's methods of strings, lists and dictionaries are there.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
}

/// Why a conversation cannot be written as the model's template has it.
#[derive(Debug, thiserror::Error)]
pub enum ChatTemplateError {
    #[error(transparent)]
    Gguf(#[from] GgufError),
    #[error("the model's chat template cannot be read ({0}): write a plain prompt instead")]
    Malformed(String),
    #[error("the model's chat template refuses the conversation ({0}): change the messages")]
    Refused(String),
    #[error("the model's chat template fails ({0}): write a plain prompt instead")]
    Failed(String),
}

impl ChatTemplate {
    /// The file's template; `None` where it has none.
    pub fn from_gguf(gguf: &Gguf) -> Result<Option<ChatTemplate>, ChatTemplateError> {
        gguf.metadata.find_str("tokenizer.chat_template")?.map(ChatTemplate::new).transpose()
    }

    pub fn new(source: &str) -> Result<ChatTemplate, ChatTemplateError> {
        if source.len() > LONGEST {
            return Err(ChatTemplateError::Malformed(format!("it has {} bytes, not {LONGEST} at most", source.len())));
        }
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        let malformed = |error: minijinja::Error| ChatTemplateError::Malformed(error.to_string());
        environment.add_template_owned(NAME, source.to_string()).map_err(malformed)?;
        Ok(ChatTemplate { environment })
    }

    /// The conversation as text, its special tokens spelt out: encode it with `parse_special`. `bos` and `eos` are the
    /// texts of the model's own tokens, empty where it has none. `add_generation_prompt` opens the assistant's next
    /// message.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        bos: &str,
        eos: &str,
    ) -> Result<String, ChatTemplateError> {
        let values = context! { messages, add_generation_prompt, bos_token => bos, eos_token => eos };
        let template = self.environment.get_template(NAME);
        template.and_then(|template| template.render(values)).map_err(|error| match error.kind() {
            ErrorKind::OutOfFuel => ChatTemplateError::Failed("it does not come to an end".into()),
            ErrorKind::InvalidOperation if error.detail().is_some_and(|detail| detail.starts_with(REFUSAL)) => {
                ChatTemplateError::Refused(error.detail().unwrap_or_default()[REFUSAL.len()..].to_string())
            }
            _ => ChatTemplateError::Failed(error.to_string()),
        })
    }
}

/// Marks the errors that a template raises itself, to tell them from errors in the template.
const REFUSAL: &str = "raised: ";

/// What templates call when the messages are not as they need them.
fn raise_exception(message: String) -> Result<Value, minijinja::Error> {
    let shown: String = message.chars().take(300).collect();
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, format!("{REFUSAL}{shown}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, messages: &[Message]) -> Result<String, ChatTemplateError> {
        ChatTemplate::new(source)?.render(messages, true, "<s>", "</s>")
    }

    #[test]
    fn a_template_sees_what_transformers_gives_it() {
        let source = "{{ bos_token }}\n\
            {% for message in messages %}\n\
            \u{20}   {% if loop.first and message['role'] == 'system' %}\n\
            [{{ message.content.strip() }}]\n\
            \u{20}   {% else %}\n\
            {{ message['role'].upper() + ': ' + message['content'] + eos_token }}\n\
            \u{20}   {% endif %}\n\
            {% endfor %}\n\
            {% if add_generation_prompt %}\nASSISTANT:{% endif %}";
        let messages = [Message::new("system", " Be brief. "), Message::new("user", "Hi <b>")];
        assert_eq!(render(source, &messages).unwrap(), "<s>\n[Be brief.]\nUSER: Hi <b></s>\nASSISTANT:");
    }

    #[test]
    fn what_a_template_raises_is_told() {
        let error = render("{{ raise_exception('Roles must alternate') }}", &[]).unwrap_err();
        assert!(matches!(&error, ChatTemplateError::Refused(told) if told == "Roles must alternate"), "{error}");
    }

    #[test]
    fn a_template_without_an_end_is_stopped() {
        let source = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
        assert!(matches!(render(source, &[]), Err(ChatTemplateError::Failed(_))));
        let recursive = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}";
        assert!(matches!(render(recursive, &[]), Err(ChatTemplateError::Failed(_))));
    }

    #[test]
    fn a_malformed_template_is_refused() {
        assert!(matches!(render("{% for %}", &[]), Err(ChatTemplateError::Malformed(_))));
        assert!(matches!(render(&"{{ a }}".repeat(100_000), &[]), Err(ChatTemplateError::Malformed(_))));
    }
}
