//! Blocks of every format, against the numbers that the `gguf` package reads in them (`tests/golden/gguf_quants.json`).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use std::collections::HashSet;
use tiller_formats::{Quant, dequantise, quantise};

#[test]
fn every_format_is_read_as_ggml_reads_it() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/gguf_quants.json");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).expect(path)).expect(path);
    let decode = |value: &Value| BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap();
    let mut seen = HashSet::new();
    for entry in golden["entries"].as_array().unwrap() {
        let name = entry["name"].as_str().unwrap();
        let quant = Quant::from_ggml(entry["type_id"].as_u64().unwrap() as u32).expect(name);
        let (values, bytes) = quant.block();
        assert_eq!(entry["block_values"], values, "{name}");
        assert_eq!(entry["block_bytes"], bytes, "{name}");

        let raw = decode(&entry["raw"]);
        let wanted: Vec<f32> =
            decode(&entry["f32"]).chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        let found = dequantise(quant, &raw, wanted.len());
        for (at, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            // candle and gguf may multiply and add in another order: one rounding apart.
            let allowed = f32::EPSILON * wanted.abs().max(found.abs()) * 2.0;
            assert!((found - wanted).abs() <= allowed, "{name}, element {at}: {found}, not {wanted}");
        }

        // A row within a file lies at any address.
        let mut shifted = vec![0];
        shifted.extend_from_slice(&raw);
        assert_eq!(dequantise(quant, &shifted[1..], wanted.len()), found, "{name}");
        seen.insert(quant);
    }
    let unseen: Vec<Quant> = Quant::ALL.into_iter().filter(|quant| !seen.contains(quant)).collect();
    assert_eq!(unseen, [Quant::F32]);
}

#[test]
fn quantising_comes_near() {
    let numbers: Vec<f32> = (0..512).map(|i| (i as f32 * 0.37).sin()).collect();
    let bound = |quant| match quant {
        Quant::F32 => 0.0,
        Quant::F16 => 5e-4,
        Quant::BF16 => 4e-3,
        Quant::Q8_0 => 5e-3,
        Quant::Q6K | Quant::Q5_0 | Quant::Q5_1 | Quant::Q5K => 0.07,
        Quant::Q4_0 | Quant::Q4_1 | Quant::Q4K | Quant::Q3K => 0.3,
        Quant::Q2K => 0.6,
    };
    for quant in Quant::ALL {
        let bytes = quantise(quant, &numbers).unwrap();
        assert_eq!(bytes.len(), quant.row_bytes(512).unwrap());
        let back = dequantise(quant, &bytes, 512);
        let worst = numbers.iter().zip(&back).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= bound(quant), "{quant}: off by {worst}");
    }
    assert_eq!(quantise(Quant::Q4_1, &numbers[..33]), None);
}
