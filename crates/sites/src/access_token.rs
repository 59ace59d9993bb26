//! What a hub asks for before it gives a file that is not open to everybody.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An access token of the hub. It is a secret: it is kept in memory only, it prints as nothing, and no recipe has a
/// place for it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccessToken(String);

/// Why a text is no [`AccessToken`]. It does not repeat the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("that is no access token: paste it whole, as the hub showed it (it has no spaces)")]
pub struct InvalidToken;

impl AccessToken {
    /// `text` without the blanks around it, if it can stand in a request's header.
    pub fn new(text: &str) -> Result<AccessToken, InvalidToken> {
        const LONGEST: usize = 512;
        let text = text.trim();
        let plain = text.bytes().all(|b| b.is_ascii_graphic());
        if text.is_empty() || text.len() > LONGEST || !plain {
            return Err(InvalidToken);
        }
        Ok(AccessToken(text.to_string()))
    }

    /// The value of an `Authorization` header.
    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken")
    }
}

impl TryFrom<String> for AccessToken {
    type Error = InvalidToken;

    fn try_from(text: String) -> Result<AccessToken, InvalidToken> {
        AccessToken::new(&text)
    }
}

impl From<AccessToken> for String {
    fn from(token: AccessToken) -> String {
        token.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_end_a_header_is_no_token() {
        for text in ["", "  ", "hf_a b", "hf_a\r\nHost: x", "hf_ä", &"x".repeat(513)] {
            assert_eq!(AccessToken::new(text), Err(InvalidToken), "{text:?}");
        }
        assert_eq!(AccessToken::new(" hf_abc\n").unwrap().authorization(), "Bearer hf_abc");
    }

    #[test]
    fn a_token_does_not_print() {
        let shown = format!("{:?}", AccessToken::new("hf_secret").unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
