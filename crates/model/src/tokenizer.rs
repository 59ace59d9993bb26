//! Text to token ids and back.

use tiller_formats::{Gguf, GgufError};

/// Text to token ids and back.
pub struct Tokenizer {
    tokens: Vec<String>,
}

/// Why a file's tokenizer cannot be used, or a text not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    #[error(transparent)]
    Gguf(#[from] GgufError),
}

impl Tokenizer {
    pub fn from_gguf(gguf: &Gguf) -> Result<Tokenizer, TokenizerError> {
        let tokens = gguf.metadata.strings("tokenizer.ggml.tokens")?;
        Ok(Tokenizer { tokens: tokens.into_iter().map(String::from).collect() })
    }

    /// The ids of `text`. With `add_special`, as the model's own tokenizer begins and ends a sequence (BOS, EOS). With
    /// `parse_special`, special tokens spelt out in the text (`<|im_start|>`) become those tokens; else they are text.
    pub fn encode(&self, _text: &str, _add_special: bool, _parse_special: bool) -> Result<Vec<u32>, TokenizerError> {
        Ok(Vec::new())
    }

    /// The bytes that a token stands for; a piece of a character, it may be. Empty for an unknown id.
    pub fn token_bytes(&self, _id: u32) -> Vec<u8> {
        Vec::new()
    }

    /// The token as it can be shown by itself: incomplete characters become U+FFFD.
    pub fn token_text(&self, id: u32) -> String {
        String::from_utf8_lossy(&self.token_bytes(id)).into_owned()
    }

    /// The text of a sequence, special tokens spelt out.
    pub fn decode(&self, _ids: &[u32]) -> String {
        String::new()
    }

    pub fn vocab_size(&self) -> u32 {
        self.tokens.len() as u32
    }

    pub fn bos(&self) -> Option<u32> {
        None
    }

    pub fn eos(&self) -> Option<u32> {
        None
    }

    /// End of turn.
    pub fn eot(&self) -> Option<u32> {
        None
    }

    /// Whether the model ends what it writes with this token.
    pub fn is_end(&self, _id: u32) -> bool {
        false
    }

    /// Whether the token is a control token, which stands for no text.
    pub fn is_special(&self, _id: u32) -> bool {
        false
    }
}

/// Joins tokens into text as they come: characters that are split over tokens wait until they are whole.
pub struct StreamDecoder<'a> {
    tokenizer: &'a Tokenizer,
    pending: Vec<u8>,
}

impl<'a> StreamDecoder<'a> {
    pub fn new(tokenizer: &'a Tokenizer) -> StreamDecoder<'a> {
        StreamDecoder { tokenizer, pending: Vec::new() }
    }

    /// The text that `id` completes; empty while a character is incomplete.
    pub fn push(&mut self, id: u32) -> String {
        self.pending.extend(self.tokenizer.token_bytes(id));
        String::new()
    }

    /// What is left at the end; an incomplete character becomes U+FFFD.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }
}
