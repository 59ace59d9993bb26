//! The logit lens against transformers: on the real model, and the end of the pass in every architecture.
//!
//! Log probabilities come from logits of up to some hundreds, in f32, summed in another order: 2e-3 nats is what the
//! two may differ by, and what the reference counts as equal where it ranks. A lens without the final norm, or with the
//! norm of another place, is wrong by whole nats.

use serde::Deserialize;
use tiller_engine::{BackendKind, Gpu};
use tiller_interp::lens::{LensLayer, LensReading, RankedToken, logit_lens};
use tiller_tests::architectures::{ARCHITECTURES, load_repository, reference};
use tiller_tests::load;

const NATS: f64 = 2e-3;

#[derive(Deserialize)]
struct Golden {
    watched: Vec<u32>,
    prompts: Vec<GoldenPrompt>,
}

#[derive(Deserialize)]
struct GoldenPrompt {
    name: String,
    ids: Vec<u32>,
    cells: Vec<GoldenCell>,
}

#[derive(Deserialize)]
struct GoldenCell {
    site: String,
    position: usize,
    top: Vec<u32>,
    top_log_probs: Vec<f64>,
    margins: Vec<f64>,
    entropy: f64,
    output: GoldenRank,
    next: Option<GoldenRank>,
    watched: Vec<GoldenRank>,
}

#[derive(Deserialize)]
struct GoldenRank {
    token: u32,
    log_prob: f64,
    rank_at_least: u32,
    rank_at_most: u32,
}

fn check_rank(what: &str, found: &RankedToken, expected: &GoldenRank) {
    assert_eq!(found.token, expected.token, "{what}");
    assert!((found.log_prob - expected.log_prob).abs() < NATS, "{what}: {found:?}, expected {}", expected.log_prob);
    let ranks = expected.rank_at_least..=expected.rank_at_most;
    assert!(ranks.contains(&found.rank), "{what}: {found:?}, expected {ranks:?}");
}

fn the_lens_is_the_references(backend: BackendKind) {
    let golden = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/golden/logit_lens.json")).unwrap();
    let golden: Golden = serde_json::from_slice(&golden).unwrap();
    let mut session = load(backend, 64);
    let spelt = [" Paris", " London", " the", "\n"].map(|text| session.one_token(text).unwrap());
    assert_eq!(golden.watched, spelt);
    for GoldenPrompt { name, ids, cells } in &golden.prompts {
        let what = LensReading {
            tokens: ids,
            positions: 0..ids.len(),
            watched: &golden.watched,
            top: 5,
            edits: &[],
            tuned: None,
        };
        let mut layers: Vec<LensLayer> = Vec::new();
        let reading = logit_lens(&mut session.engine, &what, &(), |_, _| {}, |layer| layers.push(layer));
        pollster::block_on(reading).unwrap();
        assert_eq!(layers.len(), 31, "the embedding and thirty blocks");
        for expected in cells {
            let what = format!("{name}, {}, position {}", expected.site, expected.position);
            let layer = layers.iter().find(|layer| layer.site.to_string() == expected.site).expect(&what);
            let found = &layer.cells[expected.position];
            assert!((found.entropy - expected.entropy).abs() < NATS, "{what}: entropy {}", found.entropy);
            for (n, top) in found.top.iter().enumerate() {
                assert!((top.log_prob - expected.top_log_probs[n]).abs() < NATS, "{what}: {top:?}");
                let alone = expected.margins[n] > NATS && (n == 0 || expected.margins[n - 1] > NATS);
                assert!(!alone || top.token == expected.top[n], "{what}: {top:?}, expected {}", expected.top[n]);
            }
            check_rank(&what, &found.output, &expected.output);
            assert_eq!(found.next.is_some(), expected.next.is_some(), "{what}");
            for (found, expected) in found.next.iter().zip(&expected.next) {
                check_rank(&what, found, expected);
            }
            assert_eq!(found.watched.len(), expected.watched.len());
            for (found, expected) in found.watched.iter().zip(&expected.watched) {
                check_rank(&what, found, expected);
            }
        }
    }
}

#[test]
fn the_lens_is_the_references_on_the_cpu() {
    the_lens_is_the_references(BackendKind::Cpu);
}

#[test]
fn the_lens_is_the_references_on_the_gpu() {
    the_lens_is_the_references(BackendKind::Gpu);
}

#[test]
fn the_last_blocks_output_gives_the_references_logits_in_every_architecture() {
    for name in ARCHITECTURES {
        for on_gpu in [false, true] {
            let gpu = on_gpu.then(|| pollster::block_on(Gpu::open()).expect("a Vulkan driver"));
            let mut session = load_repository(name, gpu, None);
            let reference = reference(name);
            let last = format!("blocks.{}.hook_resid_post", session.engine.config().layers - 1);
            let ((_, residuals), (shape, expected)) = (&reference.sites[&last], &reference.sites["logits"]);
            let mut found = vec![Vec::new(); shape[0]];
            let keep = |row: usize, logits: &[f32]| found[row] = logits.to_vec();
            pollster::block_on(session.engine.unembed(residuals, &(), |_, _| {}, keep)).unwrap();
            let found = found.concat();
            assert_eq!(found.len(), expected.len(), "{name}");
            let square = |x: f32| f64::from(x).powi(2);
            let off: f64 = found.iter().zip(expected).map(|(a, b)| square(a - b)).sum();
            let off = (off / expected.iter().map(|&b| square(b)).sum::<f64>()).sqrt();
            assert!(off < 1e-4, "{name}, on the GPU: {on_gpu}: off by {off:e}");
        }
    }
}

#[test]
fn positions_past_the_text_and_tokens_past_the_vocabulary_are_refused() {
    let mut session = load_repository("llama", None, None);
    let mut refusal = |positions, watched: &[u32]| {
        let what = LensReading { tokens: &[1, 2, 3], positions, watched, top: 3, edits: &[], tuned: None };
        let reading = logit_lens(&mut session.engine, &what, &(), |_, _| {}, |_| {});
        pollster::block_on(reading).unwrap_err().to_string()
    };
    assert!(refusal(0..4, &[]).contains("3 tokens"));
    assert!(refusal(2..2, &[]).contains("3 tokens"));
    assert!(refusal(0..3, &[1 << 30]).contains("vocabulary"));
}
