//! A sparse autoencoder's files: what is read encodes, decodes, and can be written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pollster::block_on;
use std::collections::BTreeMap;
use tiller_formats::{Precision, ReadOptions, SaeFile, propose_mapping};
use tiller_fuzz::{Bound, bounded, read, split_files};

// A deflated array may be sixteen times as long as its bytes, a bias somewhat more; it is turned round, written and read.
const BOUND: Bound = Bound { per_byte: 400, fixed: 16 << 20 };

// The first byte says which layout the rest is, in files that a separator parts.
fuzz_target!(|input: &[u8]| {
    let Some((&layout, rest)) = input.split_first() else { return };
    let names: &[&str] = match layout % 4 {
        0 => &["cfg.json", "sae_weights.safetensors"],
        1 => &["params.npz"],
        2 => &["params.safetensors", "config.json"],
        _ => &["mapping.json", "sae.safetensors"],
    };
    bounded(input.len(), BOUND, || {
        let folder: BTreeMap<String, Vec<u8>> = match layout % 4 {
            1 => BTreeMap::from([("params.npz".to_string(), rest.to_vec())]),
            _ => names.iter().map(|name| name.to_string()).zip(split_files(rest, 2).into_iter().map(<[u8]>::to_vec)).collect(),
        };
        let options = ReadOptions { input_scale: Some(1.0), ..ReadOptions::default() };
        for (name, weights) in folder.iter().filter(|(name, _)| name.ends_with(".safetensors")) {
            let Some(mapping) = read(block_on(propose_mapping(name, weights, None, 4))) else { continue };
            let mut mapped = folder.clone();
            mapped.insert("mapping.json".to_string(), mapping.into_bytes());
            let _ = read(block_on(SaeFile::read(&mapped, &options)));
        }
        let Some(file) = read(block_on(SaeFile::read(&folder, &options))) else { return };
        let x = vec![0.5; file.sae.d_in];
        let features = file.sae.encode(&x);
        assert!(features.is_sorted_by_key(|&(feature, _)| feature));
        assert_eq!(file.sae.decode(&features, &x).len(), file.sae.d_out());
        let again = block_on(SaeFile::read(&file.to_saelens(Precision::F32), &ReadOptions::default()));
        assert_eq!(again.expect("what was written can be read").sae, file.sae);
    });
});
