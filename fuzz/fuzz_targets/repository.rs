//! The files of a repository: configuration, tokenizer and its settings, weights; one after the other, parted by `%%`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pollster::block_on;
use std::collections::BTreeMap;
use tiller_formats::Quant;
use tiller_fuzz::{Bound, bounded, read, split_files};
use tiller_model::{Checkpoint, ModelFiles};

// JSON of any shape takes at most 32 bytes for `0,`, and three times that while its list grows; the patterns of a
// tokenizer and the names of all weights that 512 blocks would need are there whatever the input.
const BOUND: Bound = Bound { per_byte: 256, fixed: 16 << 20 };

const NAMES: [&str; 4] = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"];

fuzz_target!(|input: &[u8]| {
    bounded(input.len(), BOUND, || {
        let files = NAMES.into_iter().zip(split_files(input, NAMES.len()));
        let folder: BTreeMap<String, Vec<u8>> = files.map(|(name, file)| (name.into(), file.to_vec())).collect();
        for quantise in [None, Some(Quant::Q8_0)] {
            let Some(model) = read(block_on(ModelFiles::from_repository(&folder, quantise))) else { return };
            for (name, tensor) in model.checkpoint.tensors() {
                for row in [0, tensor.rows() - 1] {
                    let bytes = block_on(model.checkpoint.read_rows(name, row..row + 1)).expect("checked before");
                    assert_eq!(Some(bytes.len()), tensor.row_bytes());
                }
            }
        }
    });
});
