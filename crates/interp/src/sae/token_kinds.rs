//! Kinds of tokens: what labels say of many tokens at once, and a class for each token.

/// A kind of tokens.
pub(super) struct Kind {
    pub name: &'static str,
    pub holds: fn(&str) -> bool,
}

pub(super) const KINDS: [Kind; 16] = [
    Kind { name: "line breaks", holds: |t| t.contains('\n') },
    Kind { name: "spaces and line breaks", holds: |t| t.chars().all(char::is_whitespace) },
    Kind { name: "digits", holds: |t| all(t, |c| c.is_ascii_digit()) },
    Kind { name: "ends of sentences", holds: |t| matches!(t.trim(), "." | "!" | "?") },
    Kind { name: "commas, colons and semicolons", holds: |t| matches!(t.trim(), "," | ";" | ":") },
    Kind { name: "quotation marks", holds: |t| all(t, |c| "\"'“”‘’`".contains(c)) },
    Kind { name: "brackets", holds: |t| all(t, |c| "()[]{}".contains(c)) },
    Kind { name: "punctuation and symbols", holds: |t| all(t, |c| !c.is_alphanumeric()) },
    Kind {
        name: "words with a capital",
        holds: |t| t.starts_with(' ') && t.trim().starts_with(char::is_uppercase) && all(t, char::is_alphabetic),
    },
    Kind { name: "capitals only", holds: |t| t.trim().len() > 1 && all(t, char::is_uppercase) },
    Kind { name: "parts within words", holds: |t| t.starts_with(char::is_lowercase) && all(t, char::is_alphabetic) },
    Kind { name: "words in -ing", holds: |t| ends(t, "ing") },
    Kind { name: "words in -ed", holds: |t| ends(t, "ed") },
    Kind { name: "words in -ly", holds: |t| ends(t, "ly") },
    Kind { name: "words in -s", holds: |t| ends(t, "s") },
    Kind { name: "letters of other scripts", holds: |t| all(t, |c| !c.is_ascii() && c.is_alphabetic()) },
];

/// Whether there is something besides space, and all of that is so.
fn all(token: &str, is: impl Fn(char) -> bool) -> bool {
    let token = token.trim();
    !token.is_empty() && token.chars().all(is)
}

fn ends(token: &str, suffix: &str) -> bool {
    let word = token.trim();
    word.len() > suffix.len() + 1 && word.ends_with(suffix) && word.chars().all(char::is_alphabetic)
}

/// Words that hold a sentence together, in small letters.
const FUNCTION_WORDS: [&str; 72] = [
    "a", "an", "the", "this", "that", "these", "those", "and", "or", "but", "nor", "so", "yet", "if", "because", "as",
    "than", "when", "while", "where", "which", "who", "whom", "whose", "what", "of", "in", "on", "at", "by", "for",
    "from", "to", "with", "into", "over", "under", "about", "after", "before", "between", "through", "i", "you", "he",
    "she", "it", "we", "they", "me", "him", "her", "us", "them", "my", "your", "his", "its", "our", "their", "is",
    "are", "was", "were", "be", "been", "have", "has", "had", "do", "not", "no",
];

/// The class of a token, of which it has just one: the first of the kinds that labels know, or whether it is a function
/// word or another. Kinds that many tokens have (words with a capital, endings) come after function words.
pub fn token_class(token: &str) -> u32 {
    let kind = KINDS.iter().position(|kind| (kind.holds)(token));
    let is_function_word = FUNCTION_WORDS.contains(&token.trim().to_lowercase().as_str());
    let class = if is_function_word { KINDS.len() } else { kind.unwrap_or(KINDS.len() + 1) };
    class as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_hold_of_what_they_say() {
        let kinds = |token: &str| KINDS.iter().filter(|kind| (kind.holds)(token)).map(|k| k.name).collect::<Vec<_>>();
        assert_eq!(kinds("\n\n"), ["line breaks", "spaces and line breaks"]);
        assert_eq!(kinds(" 42"), ["digits"]);
        assert_eq!(kinds("."), ["ends of sentences", "punctuation and symbols"]);
        assert_eq!(kinds(" Walking"), ["words with a capital", "words in -ing"]);
        assert_eq!(kinds("ing"), ["parts within words"]);
        assert_eq!(kinds(" NASA"), ["words with a capital", "capitals only"]);
        assert_eq!(kinds(" ("), ["brackets", "punctuation and symbols"]);
    }

    #[test]
    fn every_token_has_one_class() {
        let class = token_class;
        assert_eq!(class(" The"), class(" of"));
        assert_eq!(class(" whale"), class(" harpoon"));
        let different = [" The", " whale", " Ahab", " walking", "ing", ".", ",", "\n", " 42", " (", " —"].map(class);
        let mut sorted = different.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), different.len());
    }
}
