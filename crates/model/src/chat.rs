//! Chat templates: from messages to the text that a chat model was trained on.

mod slices;

use minijinja::value::{Kwargs, Rest, StringInput};
use minijinja::{Environment, ErrorKind, State, UndefinedBehavior, Value, context, filters};
use minijinja_contrib::pycompat;
use serde::{Deserialize, Serialize};
use tiller_formats::{Gguf, GgufError};

/// Instructions that a template may execute; the longest in use take a few thousand for a long conversation.
const FUEL: u64 = 100_000;
/// Bytes of a template; the longest in use have about 20 kB.
const LONGEST: usize = 256 << 10;
/// Spaces that a filter puts before a line, or fills a field up with. Without a limit, one number in a template asks
/// for any amount of memory.
const WIDEST: usize = 1000;
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
        environment.set_unknown_method_callback(method);
        environment.add_filter("tojson", tojson);
        environment.add_filter("indent", indent);
        environment.add_filter("format", format);
        environment.add_function("raise_exception", raise_exception);
        let malformed = |error: minijinja::Error| ChatTemplateError::Malformed(cut(error.to_string()));
        let source = slices::without_backward_slices(source).map_err(ChatTemplateError::Malformed)?;
        environment.add_template_owned(NAME, source).map_err(malformed)?;
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
            _ => ChatTemplateError::Failed(cut(error.to_string())),
        })
    }
}

/// A template's own text, which errors repeat, may be of any length.
fn cut(message: String) -> String {
    message.chars().take(300).collect()
}

/// Marks the errors that a template raises itself, to tell them from errors in the template.
const REFUSAL: &str = "raised: ";

/// What templates call when the messages are not as they need them.
fn raise_exception(message: String) -> Result<Value, minijinja::Error> {
    let shown: String = message.chars().take(300).collect();
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, format!("{REFUSAL}{shown}")))
}

/// Python's methods, and what [`slices`] makes of `[::-1]`.
fn method(state: &State, value: &Value, name: &str, arguments: &[Value]) -> Result<Value, minijinja::Error> {
    if name == "format" {
        check_fields(value)?;
    }
    match (name, value.as_str()) {
        ("reversed", Some(text)) => Ok(text.chars().rev().collect::<String>().into()),
        ("reversed", None) => Ok(value.try_iter()?.collect::<Vec<Value>>().into_iter().rev().collect()),
        _ => pycompat::unknown_method_callback(state, value, name, arguments),
    }
}

fn tojson(value: &Value, indent: Option<Value>, options: Kwargs) -> Result<Value, minijinja::Error> {
    for width in [indent.clone(), options.get("indent")?].into_iter().flatten() {
        check_width(usize::try_from(width).ok())?;
    }
    filters::tojson(value, indent, options)
}

fn indent(
    text: StringInput,
    width: Option<usize>,
    first_line: Option<bool>,
    blank_lines: Option<bool>,
    options: Kwargs,
) -> Result<Value, minijinja::Error> {
    check_width(width)?;
    check_width(options.get("width")?)?;
    filters::indent(text, width, first_line, blank_lines, options)
}

fn format(state: &State, text: &Value, arguments: Rest<Value>) -> Result<Value, minijinja::Error> {
    check_fields(text)?;
    filters::format(state, text, arguments)
}

fn check_width(width: Option<usize>) -> Result<(), minijinja::Error> {
    if width.is_some_and(|width| width > WIDEST) { Err(too_wide()) } else { Ok(()) }
}

/// Refuses a format whose fields are wider than [`WIDEST`], or as wide as another value says.
fn check_fields(format: &Value) -> Result<(), minijinja::Error> {
    let text = format.as_str().unwrap_or_default();
    let numbers = text.split(|c: char| !c.is_ascii_digit());
    let wide = numbers
        .filter(|digits| !digits.is_empty())
        .any(|digits| digits.parse().map_or(true, |width: usize| width > WIDEST));
    if wide || text.contains('*') { Err(too_wide()) } else { Ok(()) }
}

fn too_wide() -> minijinja::Error {
    minijinja::Error::new(ErrorKind::InvalidOperation, format!("it asks for more than {WIDEST} spaces"))
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
    fn a_template_cannot_ask_for_any_amount_of_space() {
        for source in [
            "{{ 'a'|indent(99999999999, true) }}",
            "{{ 'a'|indent(width=18446744073709551615, first=true) }}",
            "{{ [1]|tojson(99999999999) }}",
            "{{ [1]|tojson(indent=99999999999) }}",
            "{{ '%99999999999d'|format(1) }}",
            "{{ '%*d'|format(99999999999, 1) }}",
            "{{ '{:>99999999999999999999999}'.format(1) }}",
        ] {
            assert!(matches!(render(source, &[]), Err(ChatTemplateError::Failed(_))), "{source}");
        }
        let source = "{{ 'a'|indent(2, true) }}{{ [1]|tojson(indent=4) }}{{ '%5d'|format(1) }}{{ '{:>3}'.format(1) }}";
        assert_eq!(render(source, &[]).unwrap(), "  a[\n    1\n]    1  1");
    }

    #[test]
    fn what_is_empty_can_be_reversed() {
        let source = "{% for m in messages[::-1] %}{{ m.content[::-1] }};{% endfor %}";
        assert_eq!(render(source, &[]).unwrap(), "");
        assert_eq!(render(source, &[Message::new("user", "é1"), Message::new("user", "")]).unwrap(), ";1é;");
        assert!(matches!(render("{{ ''[3::-1] }}", &[]), Err(ChatTemplateError::Malformed(_))));
    }

    #[test]
    fn a_malformed_template_is_refused() {
        assert!(matches!(render("{% for %}", &[]), Err(ChatTemplateError::Malformed(_))));
        assert!(matches!(render(&"{{ a }}".repeat(100_000), &[]), Err(ChatTemplateError::Malformed(_))));
    }
}
