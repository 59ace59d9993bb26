//! A tokenizer's metadata out of a few bytes.
//!
//! A GGUF header spends sixteen bytes on a token of two, most of which a mutation only breaks. Here the bytes are
//! nothing but choices and texts, so that what is explored is the tokenizer, not the header.

use std::collections::BTreeMap;
use tiller_formats::{Gguf, Metadata, Value};

/// The lines of `input`, by their first byte: a token (its second byte is its kind, and its score), a merge, or a text
/// to be encoded. The first line's bytes are choices.
pub fn parse(input: &[u8]) -> (Gguf, Vec<String>) {
    let mut lines = input.split(|&byte| byte == b'\n');
    let choices = lines.next().unwrap_or_default();
    let choice = |n: usize| choices.get(n).copied().unwrap_or_default();
    let (mut tokens, mut kinds, mut scores, mut merges, mut texts) = (vec![], vec![], vec![], vec![], vec![]);
    for line in lines {
        match line {
            [b't', kind, text @ ..] => {
                tokens.push(lossy(text));
                kinds.push(u32::from(kind & 7));
                scores.push(-f32::from(kind >> 3));
            }
            [b'm', text @ ..] => merges.push(lossy(text)),
            [_, text @ ..] => texts.push(lossy(text)),
            [] => {}
        }
    }

    let mut metadata: BTreeMap<String, Value> = BTreeMap::new();
    let mut set = |key: &str, value: Value| metadata.insert(format!("tokenizer.ggml.{key}"), value);
    set("model", if choice(0) & 1 == 0 { "gpt2" } else { "llama" }.into());
    set("pre", ["smollm", "gpt-2", "llama-bpe", "qwen2", "default"][usize::from(choice(1)) % 5].into());
    set("tokens", tokens.into());
    set("token_type", kinds.into());
    set("scores", scores.into());
    set("merges", merges.into());
    for (bit, key) in [(2, "add_bos_token"), (4, "add_eos_token"), (8, "add_space_prefix")] {
        set(key, (choice(0) & bit != 0).into());
    }
    for (n, key) in [(2, "bos_token_id"), (3, "eos_token_id"), (4, "unknown_token_id")] {
        if choice(n) != u8::MAX {
            set(key, u32::from(choice(n)).into());
        }
    }
    (Gguf { version: 3, metadata: Metadata(metadata), tensors: BTreeMap::new() }, texts)
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
