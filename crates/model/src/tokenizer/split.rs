//! How a text is split into words before merging, under the names that `tokenizer.ggml.pre` gives the ways.
//!
//! Each way is a list of patterns; each pattern splits the pieces that the one before it left (llama.cpp,
//! `llm_tokenizer_bpe` in `llama-vocab.cpp`).

use super::TokenizerError;
use tokenizers::SplitDelimiterBehavior::Isolated;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, Result};

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A way to split, and what the models that use it have in common.
pub(super) struct WordSplit {
    names: &'static [&'static str],
    patterns: &'static [&'static str],
    /// Whether a word that is a token is taken as it is, without merging.
    pub(super) whole_words_first: bool,
    /// Whether texts begin with BOS where the file does not say.
    pub(super) begins_with_bos: bool,
}

const WAYS: [WordSplit; 5] = [
    WordSplit {
        names: &["smollm", "starcoder", "refact", "command-r", "codeshell"],
        patterns: &[r"\p{N}", GPT2],
        whole_words_first: false,
        begins_with_bos: false,
    },
    WordSplit {
        names: &["gpt-2", "phi-2", "mpt", "olmo"],
        patterns: &[GPT2],
        whole_words_first: false,
        begins_with_bos: false,
    },
    WordSplit {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3"],
        patterns: &[LLAMA3],
        whole_words_first: true,
        begins_with_bos: true,
    },
    WordSplit {
        names: &["qwen2", "deepseek-r1-qwen"],
        patterns: &[QWEN2],
        whole_words_first: false,
        begins_with_bos: false,
    },
    WordSplit {
        names: &["default"],
        patterns: &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"],
        whole_words_first: false,
        begins_with_bos: false,
    },
];

/// The way that a file names.
pub(super) fn by_name(name: &str) -> std::result::Result<&'static WordSplit, TokenizerError> {
    let unknown = || TokenizerError::UnknownSplit { found: name.chars().take(100).collect() };
    WAYS.iter().find(|way| way.names.contains(&name)).ok_or_else(unknown)
}

/// Every name, for messages.
pub(super) fn names() -> String {
    WAYS.iter().flat_map(|way| way.names).copied().collect::<Vec<_>>().join(", ")
}

impl WordSplit {
    /// The splits, and then bytes to GPT-2's printable characters.
    pub(super) fn pre_tokenizer(&self) -> PreTokenizerWrapper {
        let split = |pattern: &&str| -> Result<PreTokenizerWrapper> {
            Ok(Split::new(SplitPattern::Regex((*pattern).into()), Isolated, false)?.into())
        };
        let splits: Result<Vec<PreTokenizerWrapper>> = self.patterns.iter().map(split).collect();
        let mut steps = splits.expect("the patterns of this file are well-formed");
        steps.push(ByteLevel::new(false, false, false).into());
        Sequence::new(steps).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

    fn words<'a>(name: &str, text: &'a str) -> Vec<&'a str> {
        let mut pretokenized = PreTokenizedString::from(text);
        by_name(name).unwrap().pre_tokenizer().pre_tokenize(&mut pretokenized).unwrap();
        let splits = pretokenized.get_splits(OffsetReferential::Original, OffsetType::Byte);
        splits.into_iter().map(|(_, (start, end), _)| &text[start..end]).collect()
    }

    #[test]
    fn every_way_has_well_formed_patterns() {
        for way in &WAYS {
            way.pre_tokenizer();
        }
    }

    #[test]
    fn numbers_are_split_as_each_model_has_it() {
        assert_eq!(words("smollm", "in 2026"), ["in", " ", "2", "0", "2", "6"]);
        assert_eq!(words("gpt-2", "in 2026"), ["in", " 2026"]);
        assert_eq!(words("llama-bpe", "in 2026"), ["in", " ", "202", "6"]);
        assert_eq!(words("qwen2", "in 2026"), ["in", " ", "2", "0", "2", "6"]);
    }

    #[test]
    fn an_unknown_way_is_refused_by_name() {
        let error = by_name("tekken").err().unwrap().to_string();
        assert!(error.contains("\"tekken\"") && error.contains("smollm"), "{error}");
    }
}
