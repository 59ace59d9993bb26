//! Tokens that are found in a text as they are, before it is split into words.

use super::{TokenizerError, damaged};
use std::collections::HashMap;

/// The largest vocabularies name about seven thousand; each is compared at many places of a text.
const MOST: usize = 1 << 16;

/// Texts of tokens, to be found in other texts.
pub(super) struct SpecialTexts {
    /// By first byte; of each, the longest first.
    by_first_byte: HashMap<u8, Vec<(String, u32)>>,
}

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Special(u32),
    /// Not empty.
    Text(&'a str),
}

impl SpecialTexts {
    pub(super) fn new(tokens: impl Iterator<Item = (String, u32)>) -> Result<SpecialTexts, TokenizerError> {
        let mut by_first_byte: HashMap<u8, Vec<(String, u32)>> = HashMap::new();
        for (count, (text, id)) in tokens.enumerate() {
            if count == MOST {
                return Err(damaged(format!("it has more than {MOST} special tokens")));
            }
            if let Some(&first) = text.as_bytes().first() {
                by_first_byte.entry(first).or_default().push((text, id));
            }
        }
        for tokens in by_first_byte.values_mut() {
            tokens.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        }
        Ok(SpecialTexts { by_first_byte })
    }

    /// Cuts the special tokens out of `text`: at each place the longest, from left to right.
    pub(super) fn split<'a>(&self, text: &'a str) -> Vec<Piece<'a>> {
        let mut pieces = Vec::new();
        let mut start = 0;
        let mut at = 0;
        while at < text.len() {
            let Some((special, id)) = self.at(text, at) else {
                at += 1;
                continue;
            };
            if start < at {
                pieces.push(Piece::Text(&text[start..at]));
            }
            pieces.push(Piece::Special(id));
            at += special.len();
            start = at;
        }
        if start < text.len() {
            pieces.push(Piece::Text(&text[start..]));
        }
        pieces
    }

    fn at(&self, text: &str, at: usize) -> Option<(&str, u32)> {
        let rest = &text.as_bytes()[at..];
        let candidates = self.by_first_byte.get(rest.first()?)?;
        let (special, id) = candidates.iter().find(|(special, _)| rest.starts_with(special.as_bytes()))?;
        Some((special, *id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_is_cut_out_from_left_to_right() {
        let tokens = [("<a>", 1), ("<a><b>", 2), ("é", 3), ("", 4)];
        let specials = SpecialTexts::new(tokens.into_iter().map(|(text, id)| (text.to_string(), id))).unwrap();
        let pieces = specials.split("x<a><b>yèé<a>");
        use Piece::{Special, Text};
        assert_eq!(pieces, [Text("x"), Special(2), Text("yè"), Special(3), Special(1)]);
        assert_eq!(specials.split(""), []);
        assert_eq!(specials.split("<a"), [Text("<a")]);
    }
}
