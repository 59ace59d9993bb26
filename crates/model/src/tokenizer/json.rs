//! A `tokenizer.json`, as the `tokenizers` crate writes and reads it.

mod parts;

use super::vocabulary::{Kind, Vocabulary};
use super::{Flavour, Source, Tokenizer, TokenizerError, damaged};
use serde::Deserialize;
use serde_json::Value;
use std::cell::RefCell;
use tokenizers::ModelWrapper;

/// Ids that no token has, besides as many as there are tokens: vocabularies are listed from 0, and few ids are left out.
/// A file of one token whose id is 4,294,967,295 takes no room.
const MOST_GAPS: usize = 4096;

/// Which tokens have a part to play, as the files beside `tokenizer.json` say.
pub(crate) struct NamedTokens {
    pub bos: Option<String>,
    pub eos: Option<String>,
    /// Ids that end what the model writes.
    pub ends: Vec<u32>,
}

/// What is looked at before the crate reads the file.
#[derive(Deserialize)]
struct Outline {
    model: ModelOutline,
    decoder: Option<Value>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    post_processor: Value,
}

#[derive(Deserialize)]
struct ModelOutline {
    #[serde(rename = "type")]
    kind: Option<String>,
    dropout: Option<f64>,
}

impl Tokenizer {
    /// The tokenizer of a `tokenizer.json`.
    pub(crate) fn from_json(json: &[u8], named: &NamedTokens) -> Result<Tokenizer, TokenizerError> {
        let outline: Outline = serde_json::from_slice(json).map_err(|error| damaged(error.to_string()))?;
        let unknown = |part: &'static str, found: &str| {
            let found = found.chars().take(100).collect();
            TokenizerError::UnknownPart { part, found }
        };
        if let Some(kind) = outline.model.kind.as_deref().filter(|kind| *kind != "BPE") {
            return Err(unknown("model", kind));
        }
        if outline.model.dropout.is_some_and(|dropout| dropout != 0.0) {
            return Err(unknown("option", "dropout"));
        }
        parts::check_normalizer(&outline.normalizer).map_err(damaged)?;
        parts::check_post_processor(&outline.post_processor).map_err(damaged)?;
        let decoder = outline.decoder.unwrap_or_default();
        let flavour = match () {
            () if is_made_of(&decoder, &["ByteLevel"]) => Flavour::ByteLevel,
            () if is_made_of(&decoder, &["ByteFallback", "Metaspace"]) => {
                Flavour::SentencePiece { space_prefix: false }
            }
            () => return Err(unknown("decoder", decoder["type"].as_str().unwrap_or("none"))),
        };

        let mut words = tokenizers::Tokenizer::from_bytes(json).map_err(|error| damaged(error.to_string()))?;
        // A prompt is neither cut nor filled up.
        words.with_truncation(None).map_err(|error| damaged(error.to_string()))?;
        words.with_padding(None);
        // The crate keeps a cache of words for each thread, for ever: models come and go here.
        let ModelWrapper::BPE(bpe) = words.get_model() else { return Err(unknown("model", "not BPE")) };
        let mut bpe = bpe.clone();
        bpe.resize_cache(0);
        words.with_model(bpe);

        let vocabulary = vocabulary(&words, named)?;
        let frame = frame(&words)?;
        if let Some(id) = frame.iter().find(|&&id| id >= vocabulary.len()) {
            return Err(damaged(format!("it puts a token of the id {id} around a text, and there is none")));
        }
        let begins_with_bos = vocabulary.bos.is_some_and(|bos| frame.first() == Some(&bos));
        let ends_with_eos = vocabulary.eos.is_some_and(|eos| frame.last() == Some(&eos));
        let source = Source::Json(RefCell::new(words));
        Ok(Tokenizer { vocabulary, source, flavour, begins_with_bos, ends_with_eos })
    }
}

/// Whether a decoder, or one of a sequence of them, is of one of these types.
fn is_made_of(decoder: &Value, types: &[&str]) -> bool {
    let parts = decoder["decoders"].as_array().map(Vec::as_slice).unwrap_or_default();
    decoder["type"].as_str().is_some_and(|found| types.contains(&found))
        || parts.iter().any(|part| part["type"].as_str().is_some_and(|found| types.contains(&found)))
}

/// What the post-processor puts around a text.
fn frame(words: &tokenizers::Tokenizer) -> Result<Vec<u32>, TokenizerError> {
    let encoding = words.encode_fast("", true).map_err(|error| damaged(error.to_string()))?;
    Ok(encoding.get_ids().to_vec())
}

fn vocabulary(words: &tokenizers::Tokenizer, named: &NamedTokens) -> Result<Vocabulary, TokenizerError> {
    let added = words.get_added_tokens_decoder();
    let ids = words.get_vocab(true);
    let largest = ids.values().chain(added.keys()).copied().max().ok_or_else(|| damaged("it has no tokens"))?;
    if largest as usize > 2 * ids.len() + MOST_GAPS {
        return Err(damaged(format!("it has a token of the id {largest}")));
    }
    let mut texts = vec![String::new(); largest as usize + 1];
    let mut kinds = vec![Kind::Unused; largest as usize + 1];
    let byte_fallback = matches!(words.get_model(), ModelWrapper::BPE(bpe) if bpe.byte_fallback);
    for (text, &id) in &ids {
        let is_byte = byte_fallback && super::vocabulary::byte_of(text).is_some();
        kinds[id as usize] = if is_byte { Kind::Byte } else { Kind::Normal };
        texts[id as usize] = text.clone();
    }
    for (id, token) in added {
        kinds[id as usize] = if token.special { Kind::Control } else { Kind::UserDefined };
        texts[id as usize] = token.content;
    }
    let by_name = |text: &Option<String>| words.token_to_id(text.as_deref()?);
    let eos = by_name(&named.eos).or(named.ends.first().copied());
    let ends = named.ends.iter().copied().filter(|&id| id <= largest);
    Ok(Vocabulary::new(texts, kinds, by_name(&named.bos), eos.filter(|&id| id <= largest), ends))
}
