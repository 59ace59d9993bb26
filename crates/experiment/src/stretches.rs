//! Long texts as stretches of a few tokens, to read activations of.

use crate::{PromptError, Session};

/// Letters that are turned into tokens at once: a text is only read as far as it is needed.
const LETTERS_AT_ONCE: usize = 4096;

/// Texts, cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretches {
    /// Each of one text, and beginning with the tokens that the model's texts begin with.
    pub tokens: Vec<Vec<u32>>,
    /// Whether there was more than was asked for.
    pub cut: bool,
}

impl Session {
    /// Cuts raw texts into stretches of at most `longest` tokens, one after the other, until there are about `most` tokens.
    pub fn stretches(&self, texts: &[String], longest: usize, most: usize) -> Result<Stretches, PromptError> {
        let first = self.tokenizer.bos().filter(|_| self.tokenizer.begins_with_bos());
        let encode = |text: &str| Ok(self.tokenizer.encode(text, false, false)?);
        stretches(texts, first, longest, most, encode)
    }
}

fn stretches(
    texts: &[String],
    first: Option<u32>,
    longest: usize,
    most: usize,
    mut encode: impl FnMut(&str) -> Result<Vec<u32>, PromptError>,
) -> Result<Stretches, PromptError> {
    let begin = || first.into_iter().collect::<Vec<u32>>();
    // Beside the first, which is read for nothing, there is to be another.
    let (fewest, longest) = (begin().len() + 2, longest.max(begin().len() + 2));
    let mut found = Stretches::default();
    let mut count = 0;
    for text in texts {
        let mut stretch = begin();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            if count >= most {
                found.cut = true;
                break;
            }
            let piece = piece(rest);
            rest = &rest[piece.len()..];
            for token in encode(piece)? {
                stretch.push(token);
                if stretch.len() == longest {
                    count += longest;
                    found.tokens.push(std::mem::replace(&mut stretch, begin()));
                }
            }
        }
        if stretch.len() >= fewest {
            count += stretch.len();
            found.tokens.push(stretch);
        }
    }
    // A piece may hold a few stretches more than were wanted.
    while count > most && found.tokens.len() > 1 {
        count -= found.tokens.pop().map_or(0, |stretch| stretch.len());
        found.cut = true;
    }
    Ok(found)
}

/// The beginning of a text, cut before a space where there is one.
fn piece(text: &str) -> &str {
    if text.len() <= LETTERS_AT_ONCE {
        return text;
    }
    let end = text.floor_char_boundary(LETTERS_AT_ONCE);
    let space = text[..end].rfind(char::is_whitespace).filter(|&space| space > 0);
    &text[..space.unwrap_or(end)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token for each letter.
    fn letters(text: &str) -> Result<Vec<u32>, PromptError> {
        Ok(text.chars().map(u32::from).collect())
    }

    fn spelt(stretches: &Stretches) -> Vec<String> {
        let letters = |stretch: &Vec<u32>| stretch.iter().filter_map(|&letter| char::from_u32(letter)).collect();
        stretches.tokens.iter().map(letters).collect()
    }

    #[test]
    fn stretches_are_of_one_text_and_begin_as_texts_do() {
        let texts = ["abcdefg".to_string(), "hi".into(), "".into(), "z".into()];
        let found = stretches(&texts, Some('^'.into()), 4, 100, letters).unwrap();
        assert_eq!(spelt(&found), ["^abc", "^def", "^hi"], "what is too short to read is left out");
        assert!(!found.cut);
        assert_eq!(spelt(&stretches(&texts, None, 4, 100, letters).unwrap()), ["abcd", "efg", "hi"]);
    }

    #[test]
    fn a_long_text_is_cut_between_words_and_read_no_further_than_needed() {
        let text = "word ".repeat(3000);
        assert!(piece(&text).ends_with("word") && piece(&text).len() > LETTERS_AT_ONCE - 6);
        let all = stretches(std::slice::from_ref(&text), None, 100, 1 << 20, letters).unwrap();
        assert_eq!(spelt(&all).concat(), text);
        let mut encoded = 0;
        let count = |piece: &str| {
            encoded += piece.len();
            letters(piece)
        };
        let some = stretches(std::slice::from_ref(&text), None, 100, 1000, count).unwrap();
        assert!(some.cut && some.tokens.len() == 10, "{}", some.tokens.len());
        assert!(encoded <= LETTERS_AT_ONCE);
        // Without a space, and with letters of several bytes.
        let solid = "ß".repeat(5000);
        assert_eq!(spelt(&stretches(&[solid.clone()], None, 64, 1 << 20, letters).unwrap()).concat(), solid);
    }
}
