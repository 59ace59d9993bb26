//! The tokenizer and the chat template among a repository's files.

use super::files::{LONGEST_CONFIG, find, find_json};
use super::{ModelFilesError, RepositoryError};
use crate::tokenizer::NamedTokens;
use crate::{ChatTemplate, Tokenizer};
use serde_json::Value;
use tiller_formats::Folder;

/// Gemma's, of 262,144 tokens, has 33 MB.
const LONGEST_TOKENIZER: u64 = 128 << 20;

/// `ends`: the tokens that the model's configuration says end what it writes. `vocab`: rows of the embedding, for the
/// tokenizer of a repository that has none.
pub(super) async fn read<R: Folder>(
    folder: &R,
    vocab: u32,
    ends: Vec<u32>,
) -> Result<(Tokenizer, Option<ChatTemplate>), ModelFilesError> {
    let settings = find_json(folder, "tokenizer_config.json", LONGEST_CONFIG).await?.unwrap_or_default();
    let tokenizer = match find(folder, "tokenizer.json", LONGEST_TOKENIZER).await? {
        Some(json) => {
            let named =
                NamedTokens { bos: text_of(&settings["bos_token"]), eos: text_of(&settings["eos_token"]), ends };
            Tokenizer::from_json(&json, &named)?
        }
        None => Tokenizer::of_ids(vocab),
    };
    let template = match find(folder, "chat_template.jinja", LONGEST_CONFIG).await? {
        Some(template) => {
            let not_text =
                |_| RepositoryError::Damaged { file: "chat_template.jinja".into(), what: "not UTF-8".into() };
            Some(String::from_utf8(template).map_err(not_text)?)
        }
        None => template_of(&settings["chat_template"]),
    };
    Ok((tokenizer, template.map(|source| ChatTemplate::new(&source)).transpose()?))
}

/// A token is named by its text, or by an object with its text.
fn text_of(token: &Value) -> Option<String> {
    token.as_str().or_else(|| token["content"].as_str()).map(String::from)
}

/// A template, or the one called "default" of several.
fn template_of(setting: &Value) -> Option<String> {
    let named = |name: &str| setting.as_array()?.iter().find(|template| template["name"] == name);
    let template = setting.as_str().or_else(|| named("default")?["template"].as_str());
    template.map(String::from)
}
