//! Text to token ids and back.
//!
//! The `tokenizers` crate merges (BPE) and splits words; what a GGUF file says about its tokenizer is turned into its
//! terms here. Where llama.cpp and a model's original tokenizer differ, a GGUF file's ids are llama.cpp's, whose files
//! these are. A `tokenizer.json` is the crate's own format.

mod byte_level;
mod json;
mod merges;
mod special;
mod split;
mod stream;
mod vocabulary;

use special::SpecialTexts;
use std::cell::RefCell;
use tiller_formats::{Gguf, GgufError};
use tokenizers::models::bpe::BPE;
use vocabulary::{Kind, Vocabulary};

pub(crate) use json::NamedTokens;
pub use stream::StreamDecoder;

/// Text to token ids and back, as the model's file describes it.
pub struct Tokenizer {
    vocabulary: Vocabulary,
    source: Source,
    flavour: Flavour,
    begins_with_bos: bool,
    ends_with_eos: bool,
}

/// Who turns texts into ids.
enum Source {
    Gguf(Box<GgufWords>),
    /// All that the crate's own format says. Whether special tokens are recognised is a setting of the whole, which each
    /// call sets as it needs it.
    Json(RefCell<tokenizers::Tokenizer>),
    /// Nobody: there are ids only.
    Nothing,
}

struct GgufWords {
    words: tokenizers::Tokenizer,
    /// Found in every text.
    user_defined: SpecialTexts,
    /// Found only in texts whose special tokens are to be recognised; the user-defined ones are among them.
    all_special: SpecialTexts,
}

/// How texts become the characters that are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavour {
    /// GPT-2's: each byte is a printable character.
    ByteLevel,
    /// SentencePiece's: a space is `▁`, and what is in no token becomes bytes.
    SentencePiece {
        /// Whether a text, at its beginning and after each special token, is read as if it began with a space.
        space_prefix: bool,
    },
}

/// Why a file's tokenizer cannot be used, or a text not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    #[error(transparent)]
    Gguf(#[from] GgufError),
    #[error(
        "the model's tokenizer is of the kind \"{found}\", which is not supported: choose a model with one of the \
         kinds gpt2, llama"
    )]
    UnknownModel { found: String },
    #[error(
        "the model's tokenizer splits text in the way \"{found}\", which is not supported: choose a model with one \
         of {}",
        split::names()
    )]
    UnknownSplit { found: String },
    #[error("the model's tokenizer has the {part} \"{found}\", which is not supported: choose another model")]
    UnknownPart { part: &'static str, found: String },
    #[error("this model comes without a tokenizer: give token ids in place of a text")]
    NoTokenizer,
    #[error("the model's tokenizer is damaged ({what}): download the file again, or choose another conversion of it")]
    Damaged { what: String },
    #[error("the text cannot be split into tokens ({0}): change the text")]
    Encode(String),
}

fn damaged(what: impl Into<String>) -> TokenizerError {
    TokenizerError::Damaged { what: what.into() }
}

impl Tokenizer {
    pub fn from_gguf(gguf: &Gguf) -> Result<Tokenizer, TokenizerError> {
        let metadata = &gguf.metadata;
        let (vocabulary, ids) = Vocabulary::from_gguf(gguf)?;

        let model = metadata.get_str("tokenizer.ggml.model")?;
        let (words, flavour, bos_by_default) = match model {
            "gpt2" => {
                let name = metadata.find_str("tokenizer.ggml.pre")?.unwrap_or("default");
                let split = split::by_name(name)?;
                let merges = merges::listed(&ids, &metadata.strings("tokenizer.ggml.merges")?)?;
                let bpe = BPE::builder().vocab_and_merges(ids, merges).ignore_merges(split.whole_words_first);
                let mut words = bpe_tokenizer(bpe)?;
                words.with_pre_tokenizer(Some(split.pre_tokenizer()));
                (words, Flavour::ByteLevel, split.begins_with_bos)
            }
            "llama" => {
                let merges = merges::by_score(&vocabulary, &ids)?;
                let mut bpe = BPE::builder().vocab_and_merges(ids, merges).byte_fallback(true);
                if let Some(unknown) = vocabulary.unknown() {
                    bpe = bpe.unk_token(unknown.into());
                }
                let space_prefix = metadata.find_bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
                (bpe_tokenizer(bpe)?, Flavour::SentencePiece { space_prefix }, true)
            }
            other => return Err(TokenizerError::UnknownModel { found: other.chars().take(100).collect() }),
        };

        let begins_with_bos = metadata.find_bool("tokenizer.ggml.add_bos_token")?.unwrap_or(bos_by_default);
        let ends_with_eos = metadata.find_bool("tokenizer.ggml.add_eos_token")?.unwrap_or(false);
        if begins_with_bos && vocabulary.bos.is_none() {
            return Err(damaged("texts begin with a BOS token, but there is none"));
        }
        if ends_with_eos && vocabulary.eos.is_none() {
            return Err(damaged("texts end with an EOS token, but there is none"));
        }
        let user_defined = SpecialTexts::new(vocabulary.texts_of(&[Kind::UserDefined]))?;
        let all_special = SpecialTexts::new(vocabulary.texts_of(&[Kind::UserDefined, Kind::Control, Kind::Unknown]))?;
        let source = Source::Gguf(Box::new(GgufWords { words, user_defined, all_special }));
        Ok(Tokenizer { vocabulary, source, flavour, begins_with_bos, ends_with_eos })
    }

    /// The tokenizer of a model that comes without one: its tokens are written as their ids, `<17>`, and no text can be
    /// turned into them.
    pub fn of_ids(vocab: u32) -> Tokenizer {
        let texts = (0..vocab).map(|id| format!("<{id}>")).collect();
        let kinds = vec![Kind::Unused; vocab as usize];
        let vocabulary = Vocabulary::new(texts, kinds, None, None, std::iter::empty());
        let (source, flavour) = (Source::Nothing, Flavour::ByteLevel);
        Tokenizer { vocabulary, source, flavour, begins_with_bos: false, ends_with_eos: false }
    }

    /// The ids of `text`. With `add_special`, it begins and ends as the model's own tokenizer has it (BOS, EOS). With
    /// `parse_special`, special tokens spelt out in the text (`<|im_start|>`) become those tokens; else they are text.
    pub fn encode(&self, text: &str, add_special: bool, parse_special: bool) -> Result<Vec<u32>, TokenizerError> {
        let words = match &self.source {
            Source::Gguf(words) => words,
            Source::Json(words) => {
                let mut words = words.borrow_mut();
                words.set_encode_special_tokens(!parse_special);
                let encoding = words.encode_fast(text, add_special);
                return Ok(encoding.map_err(|error| TokenizerError::Encode(error.to_string()))?.get_ids().to_vec());
            }
            Source::Nothing => return Err(TokenizerError::NoTokenizer),
        };
        let mut ids = Vec::new();
        if add_special && self.begins_with_bos {
            ids.extend(self.vocabulary.bos);
        }
        let specials = if parse_special { &words.all_special } else { &words.user_defined };
        let mut after_special = true;
        for piece in specials.split(text) {
            match piece {
                special::Piece::Special(id) => ids.push(id),
                special::Piece::Text(text) => words.encode(text, self.flavour, after_special, &mut ids)?,
            }
            after_special = matches!(piece, special::Piece::Special(_));
        }
        if add_special && self.ends_with_eos {
            ids.extend(self.vocabulary.eos);
        }
        Ok(ids)
    }

    /// The bytes that a token stands for, which may be a part of a character. Special tokens are spelt out. Empty for
    /// an id beyond the vocabulary.
    pub fn token_bytes(&self, id: u32) -> Vec<u8> {
        let Some((text, kind)) = self.vocabulary.token(id) else { return Vec::new() };
        match (kind, self.flavour) {
            (Kind::Byte, _) => vocabulary::byte_of(text).map_or_else(|| text.into(), |byte| vec![byte]),
            (Kind::Normal, Flavour::ByteLevel) => byte_level::to_bytes(text),
            (Kind::Normal, Flavour::SentencePiece { .. }) => text.replace('▁', " ").into_bytes(),
            (Kind::Control | Kind::UserDefined | Kind::Unknown | Kind::Unused, _) => text.into(),
        }
    }

    /// The token as it can be shown by itself: incomplete characters become U+FFFD.
    pub fn token_text(&self, id: u32) -> String {
        String::from_utf8_lossy(&self.token_bytes(id)).into_owned()
    }

    /// The tokens' text, one after the other, special tokens spelt out. (A SentencePiece text begins with the space
    /// that [`Tokenizer::encode`] put there.)
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| self.token_bytes(id)).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn vocab_size(&self) -> u32 {
        self.vocabulary.len()
    }

    /// The token that begins a sequence.
    pub fn bos(&self) -> Option<u32> {
        self.vocabulary.bos
    }

    /// The token that ends a sequence.
    pub fn eos(&self) -> Option<u32> {
        self.vocabulary.eos
    }

    /// The token that ends a chat's turn, where the file names one.
    pub fn eot(&self) -> Option<u32> {
        self.vocabulary.eot
    }

    /// Whether [`Tokenizer::encode`] puts a BOS token before a text when it is asked for special tokens.
    pub fn begins_with_bos(&self) -> bool {
        self.begins_with_bos
    }

    /// Whether a model that writes this token has ended what it says.
    pub fn is_end(&self, id: u32) -> bool {
        self.vocabulary.is_end(id)
    }

    /// Whether the token steers the model rather than standing for text.
    pub fn is_special(&self, id: u32) -> bool {
        self.vocabulary.token(id).is_some_and(|(_, kind)| matches!(kind, Kind::Control | Kind::Unknown))
            || self.is_end(id)
    }
}

impl GgufWords {
    fn encode(
        &self,
        text: &str,
        flavour: Flavour,
        after_special: bool,
        ids: &mut Vec<u32>,
    ) -> Result<(), TokenizerError> {
        let encoding = match flavour {
            Flavour::ByteLevel => self.words.encode_fast(text, false),
            Flavour::SentencePiece { space_prefix } => {
                let prefix = if space_prefix && after_special { "▁" } else { "" };
                self.words.encode_fast(format!("{prefix}{}", text.replace(' ', "▁")), false)
            }
        };
        let encoding = encoding.map_err(|error| TokenizerError::Encode(error.to_string()))?;
        ids.extend_from_slice(encoding.get_ids());
        Ok(())
    }
}

fn bpe_tokenizer(bpe: tokenizers::models::bpe::BpeBuilder) -> Result<tokenizers::Tokenizer, TokenizerError> {
    // The crate keeps a cache of words for each thread, for ever: models come and go here.
    let bpe = bpe.cache_capacity(0).build().map_err(|error| damaged(error.to_string()))?;
    Ok(tokenizers::Tokenizer::new(bpe))
}
