//! At which tokens an edit acts.

use serde::{Deserialize, Serialize};

/// The tokens at which an edit acts. Positions count from 0 at the start of the sequence (BOS included, where the model
/// has one).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Positions {
    /// Every token, of the prompt and written.
    #[default]
    All,
    /// The tokens of the prompt only.
    Prompt,
    /// The tokens that the model has written, as they are read back in.
    Generated,
    /// The last token of the prompt only.
    Last,
    /// These positions only.
    Listed(Vec<u32>),
}

impl Positions {
    /// Whether the token at `position` of a sequence whose prompt has `prompt_len` tokens is meant.
    pub fn include(&self, position: u32, prompt_len: u32) -> bool {
        match self {
            Positions::All => true,
            Positions::Prompt => position < prompt_len,
            Positions::Generated => position >= prompt_len,
            Positions::Last => position + 1 == prompt_len,
            Positions::Listed(listed) => listed.contains(&position),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_split_the_prompt_from_what_is_written() {
        let at = |p: Positions| (0..5).filter(|&i| p.include(i, 3)).collect::<Vec<u32>>();
        assert_eq!(at(Positions::All), [0, 1, 2, 3, 4]);
        assert_eq!(at(Positions::Prompt), [0, 1, 2]);
        assert_eq!(at(Positions::Generated), [3, 4]);
        assert_eq!(at(Positions::Last), [2]);
        assert_eq!(at(Positions::Listed(vec![0, 4])), [0, 4]);
    }
}
