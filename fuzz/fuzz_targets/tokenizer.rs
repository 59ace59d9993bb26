//! A tokenizer as a file describes it, and texts that it is given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiller_fuzz::{Bound, bounded, read, tokenizer_input};
use tiller_model::{StreamDecoder, Tokenizer};

// A token of one letter has four bytes of input, and six texts and map entries in memory; a vocabulary of every part of
// a text implies a merge for each of a token's letters, two texts each. The patterns that split words are compiled for
// every tokenizer.
const BOUND: Bound = Bound { per_byte: 2048, fixed: 8 << 20 };

fuzz_target!(|input: &[u8]| {
    bounded(input.len(), BOUND, || {
        let (gguf, texts) = tokenizer_input::parse(input);
        let Some(tokenizer) = read(Tokenizer::from_gguf(&gguf)) else { return };
        for text in &texts {
            for parse_special in [false, true] {
                let Some(ids) = read(tokenizer.encode(text, true, parse_special)) else { continue };
                assert!(ids.iter().all(|&id| id < tokenizer.vocab_size()));
                // Token by token or all at once, it is the same text.
                let mut decoder = StreamDecoder::new(&tokenizer);
                let mut streamed: String = ids.iter().map(|&id| decoder.push(id)).collect();
                streamed += &decoder.finish();
                assert_eq!(streamed, tokenizer.decode(&ids));
            }
        }
    });
});
