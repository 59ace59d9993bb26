//! A model's file: header, configuration, tokenizer, chat template, and the ends of every tensor.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pollster::block_on;
use tiller_fuzz::{Bound, bounded, read};
use tiller_model::{Checkpoint, ModelFiles, TokenizerError};

// A list of bytes takes 24 for each while it is read, and three times as much while the list grows. The patterns that
// split words are compiled for every tokenizer, 3 MiB of tables at most.
const BOUND: Bound = Bound { per_byte: 96, fixed: 8 << 20 };

fuzz_target!(|file: &[u8]| {
    bounded(file.len(), BOUND, || {
        let Some(model) = read(block_on(ModelFiles::from_gguf(file))) else { return };
        // A shape that fits the file cannot promise more than it holds.
        assert!(model.parameters() <= 32 * file.len() as u64);
        for (name, tensor) in model.checkpoint.tensors() {
            for row in [0, tensor.rows() - 1] {
                let bytes = block_on(model.checkpoint.read_rows(name, row..row + 1)).expect("checked with the header");
                assert_eq!(Some(bytes.len()), tensor.row_bytes());
            }
        }
        match model.tokenizer.encode("The sum of 2 and 2", true, true) {
            Ok(ids) => assert!(ids.iter().all(|&id| id < model.tokenizer.vocab_size())),
            // A file without a tokenizer is run by token ids.
            Err(TokenizerError::NoTokenizer) => {}
            Err(error) => panic!("a short text: {error}"),
        }
    });
});
