//! The tokens of a file: their texts, what kind each is, and those that have a part to play.

use super::{TokenizerError, damaged};
use tiller_formats::{Gguf, Metadata};
use tokenizers::models::bpe::Vocab;

/// What a token is for (`llama_token_type` in `llama.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    /// Steers the model; found in a text only on request.
    Control,
    /// Found in every text before it is split into words.
    UserDefined,
    Unused,
    /// Stands for one byte: `<0x0A>`.
    Byte,
}

/// Tokens that end what a model says, whatever the file calls its end token: chat models are often converted with the
/// end token of the model that they were made from (llama.cpp keeps such a list, `special_eog_ids`).
const ENDS: [&str; 17] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<｜end▁of▁sentence｜>",
];

pub(super) struct Vocabulary {
    texts: Vec<String>,
    kinds: Vec<Kind>,
    /// Empty where the file has none.
    scores: Vec<f32>,
    pub(super) bos: Option<u32>,
    pub(super) eos: Option<u32>,
    pub(super) eot: Option<u32>,
    unknown: Option<u32>,
    /// Sorted.
    ends: Vec<u32>,
}

impl Vocabulary {
    /// A vocabulary of these texts, each of its kind. `ends`: tokens that end what the model says, besides `eos` and
    /// those that are known by their texts.
    pub(super) fn new(
        texts: Vec<String>,
        kinds: Vec<Kind>,
        bos: Option<u32>,
        eos: Option<u32>,
        ends: impl Iterator<Item = u32>,
    ) -> Vocabulary {
        let listed = (0..).zip(&texts).filter(|(_, text)| ENDS.contains(&text.as_str())).map(|(id, _)| id);
        let mut ends: Vec<u32> = listed.chain(ends).chain(eos).collect();
        ends.sort_unstable();
        ends.dedup();
        Vocabulary { texts, kinds, scores: Vec::new(), bos, eos, eot: None, unknown: None, ends }
    }

    /// The vocabulary, and the ids of its texts (of tokens with one text, the first).
    pub(super) fn from_gguf(gguf: &Gguf) -> Result<(Vocabulary, Vocab), TokenizerError> {
        let metadata = &gguf.metadata;
        let texts: Vec<String> = metadata.strings("tokenizer.ggml.tokens")?.into_iter().map(String::from).collect();
        if texts.is_empty() {
            return Err(damaged("it has no tokens"));
        }
        let kinds = match metadata.find_u32s("tokenizer.ggml.token_type")? {
            Some(kinds) => kinds.into_iter().map(kind).collect(),
            None => vec![Kind::Normal; texts.len()],
        };
        let scores = metadata.find_f32s("tokenizer.ggml.scores")?.unwrap_or_default();
        if kinds.len() != texts.len() || !(scores.is_empty() || scores.len() == texts.len()) {
            return Err(damaged(format!(
                "it lists {} tokens, {} kinds and {} scores",
                texts.len(),
                kinds.len(),
                scores.len()
            )));
        }

        let mut ids = Vocab::with_capacity(texts.len());
        for (id, text) in (0..).zip(&texts) {
            ids.entry(text.clone()).or_insert(id);
        }

        // SentencePiece models have their special tokens in fixed places, and older files do not name them.
        let is_sentence_piece = metadata.find_str("tokenizer.ggml.model")? == Some("llama");
        let count = texts.len();
        let named = |key: &str, sentence_piece: Option<u32>| {
            named_token(metadata, key, count, sentence_piece.filter(|_| is_sentence_piece))
        };
        let bos = named("bos_token_id", Some(1))?;
        let eos = named("eos_token_id", Some(2))?;
        let unknown = named("unknown_token_id", Some(0))?;
        let eot = named("eot_token_id", None)?;
        let eom = named("eom_token_id", None)?;

        let listed = ENDS.iter().filter_map(|text| ids.get(*text).copied());
        let mut ends: Vec<u32> = listed.chain(eos).chain(eot).chain(eom).collect();
        ends.sort_unstable();
        ends.dedup();
        Ok((Vocabulary { texts, kinds, scores, bos, eos, eot, unknown, ends }, ids))
    }

    pub(super) fn len(&self) -> u32 {
        self.texts.len() as u32
    }

    pub(super) fn token(&self, id: u32) -> Option<(&str, Kind)> {
        let id = id as usize;
        Some((self.texts.get(id)?, *self.kinds.get(id)?))
    }

    pub(super) fn score(&self, id: u32) -> Option<f32> {
        self.scores.get(id as usize).copied()
    }

    /// The token for what is in no other.
    pub(super) fn unknown(&self) -> Option<&str> {
        let (text, _) = self.token(self.unknown?)?;
        Some(text)
    }

    pub(super) fn texts_of<'a>(&'a self, kinds: &'a [Kind]) -> impl Iterator<Item = (String, u32)> + 'a {
        let tokens = (0..).zip(self.texts.iter().zip(&self.kinds));
        tokens.filter(|(_, (_, kind))| kinds.contains(kind)).map(|(id, (text, _))| (text.clone(), id))
    }

    pub(super) fn is_end(&self, id: u32) -> bool {
        self.ends.binary_search(&id).is_ok()
    }
}

fn kind(number: u32) -> Kind {
    match number {
        2 => Kind::Unknown,
        3 => Kind::Control,
        4 => Kind::UserDefined,
        5 => Kind::Unused,
        6 => Kind::Byte,
        _ => Kind::Normal,
    }
}

fn named_token(
    metadata: &Metadata,
    key: &str,
    count: usize,
    default: Option<u32>,
) -> Result<Option<u32>, TokenizerError> {
    let key = format!("tokenizer.ggml.{key}");
    let is_token = |id: &u32| (*id as usize) < count;
    match metadata.find_u32(&key)? {
        Some(id) if !is_token(&id) => Err(damaged(format!("\"{key}\" is {id}, but there are {count} tokens"))),
        Some(id) => Ok(Some(id)),
        None => Ok(default.filter(is_token)),
    }
}

/// The byte that a token such as `<0x0A>` stands for.
pub(super) fn byte_of(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}
