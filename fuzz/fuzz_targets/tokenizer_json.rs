//! A `tokenizer.json`, in a repository that is otherwise sound, and texts that it is given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pollster::block_on;
use std::collections::BTreeMap;
use tiller_fuzz::{Bound, bounded, read, tiny_repository};
use tiller_model::{ModelFiles, StreamDecoder};

// As for a repository.
const BOUND: Bound = Bound { per_byte: 1024, fixed: 16 << 20 };

const TEXTS: [&str; 4] = ["", "The sum of 2 and 2", "<s>a\n\n  b</s>", "é日👍\u{fffd}\0"];

fuzz_target!(|json: &[u8]| {
    bounded(json.len(), BOUND, || {
        let weights = tiny_repository::weights();
        let files = [("config.json", tiny_repository::CONFIG.as_bytes()), ("model.safetensors", &weights)];
        let files = files.into_iter().chain([("tokenizer.json", json)]);
        let folder: BTreeMap<String, Vec<u8>> = files.map(|(name, file)| (name.into(), file.to_vec())).collect();
        let Some(model) = read(block_on(ModelFiles::from_repository(&folder, None))) else { return };
        for text in TEXTS {
            for parse_special in [false, true] {
                let Some(ids) = read(model.tokenizer.encode(text, true, parse_special)) else { continue };
                assert!(ids.iter().all(|&id| id < model.tokenizer.vocab_size()));
                let mut decoder = StreamDecoder::new(&model.tokenizer);
                let mut streamed: String = ids.iter().map(|&id| decoder.push(id)).collect();
                streamed += &decoder.finish();
                assert_eq!(streamed, model.tokenizer.decode(&ids));
            }
        }
    });
});
