//! Tokens to text while they are being written.

use super::Tokenizer;

/// Joins tokens into text as they come. A character that is split over several tokens waits until it is whole.
pub struct StreamDecoder<'a> {
    tokenizer: &'a Tokenizer,
    pending: Pending,
}

impl<'a> StreamDecoder<'a> {
    pub fn new(tokenizer: &'a Tokenizer) -> StreamDecoder<'a> {
        StreamDecoder { tokenizer, pending: Pending::default() }
    }

    /// The text that the token `id` completes; empty while a character is incomplete. What can be no character becomes
    /// U+FFFD.
    pub fn push(&mut self, id: u32) -> String {
        self.pending.push(&self.tokenizer.token_bytes(id))
    }

    /// What is left at the end: U+FFFD where a character is incomplete.
    pub fn finish(self) -> String {
        self.pending.finish()
    }
}

/// The beginning of a character: at most three bytes.
#[derive(Default)]
struct Pending(Vec<u8>);

impl Pending {
    fn push(&mut self, bytes: &[u8]) -> String {
        self.0.extend_from_slice(bytes);
        let mut text = String::new();
        let mut waiting = Vec::new();
        let mut chunks = self.0.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            match chunk.invalid() {
                [] => {}
                unfinished if chunks.peek().is_none() && is_beginning(unfinished) => waiting.extend(unfinished),
                _ => text.push(char::REPLACEMENT_CHARACTER),
            }
        }
        drop(chunks);
        self.0 = waiting;
        text
    }

    fn finish(self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

/// Whether more bytes could make a character of these.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_characters_wait_until_they_are_whole() {
        let mut pending = Pending::default();
        let text = "a é 日 👍🏽!";
        let pushed: Vec<String> = text.bytes().map(|byte| pending.push(&[byte])).collect();
        assert_eq!(pushed.concat(), text);
        assert!(pushed.iter().all(|piece| piece.chars().count() <= 1));
        assert_eq!(pending.finish(), "");
    }

    #[test]
    fn what_is_no_character_is_replaced_at_once() {
        let mut pending = Pending::default();
        assert_eq!(pending.push(b"a\xff"), "a\u{fffd}");
        assert_eq!(pending.push(b"\xe6\x97"), "");
        assert_eq!(pending.push(b"b"), "\u{fffd}b");
        assert_eq!(pending.push(b"\xf0\x9f"), "");
        assert_eq!(pending.finish(), "\u{fffd}");
    }
}
