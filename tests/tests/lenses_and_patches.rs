//! Lens, attribution and patching against TransformerLens, on a model with LayerNorms, learned positions and biases. The
//! real model's numbers, against transformers, are in lens.rs and patching.rs.

use serde::Deserialize;
use std::collections::BTreeMap;
use tiller_engine::{Gpu, PatchDirection, PatchPlace};
use tiller_experiment::Session;
use tiller_interp::attribution::{Component, direct_logit_attribution};
use tiller_interp::lens::{LensReading, logit_lens};
use tiller_interp::patch::{Metric, PatchStep, Patching, activation_patching};
use tiller_tests::architectures::load_repository;

/// Logits of up to ten, in f32, summed in another order.
const LOGITS: f64 = 1e-4;

#[derive(Deserialize)]
struct Golden {
    answer: u32,
    wrong: u32,
    clean: Vec<u32>,
    corrupt: Vec<u32>,
    difference: Difference,
    attribution: BTreeMap<String, f64>,
    lens: BTreeMap<String, Cell>,
    patching: BTreeMap<String, Vec<Vec<f64>>>,
}

#[derive(Deserialize)]
struct Difference {
    clean: f64,
    corrupt: f64,
}

#[derive(Deserialize)]
struct Cell {
    answer: f64,
    wrong: f64,
    entropy: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/lenses_and_patches.json")).unwrap()
}

/// On the CPU, then on the GPU.
fn sessions() -> [Session; 2] {
    [false, true].map(|on_gpu| {
        let gpu = on_gpu.then(|| pollster::block_on(Gpu::open()).expect("a Vulkan driver"));
        load_repository("gpt2", gpu, None)
    })
}

fn near(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() < LOGITS, "{what}: {found}, expected {expected}");
}

#[test]
fn attributions_are_transformer_lenss() {
    let golden = golden();
    for mut session in sessions() {
        let (engine, answer, wrong) = (&mut session.engine, golden.answer, golden.wrong);
        let found = direct_logit_attribution(engine, &golden.clean, answer, wrong, &(), |_, _| {});
        let found = pollster::block_on(found).unwrap();
        near("the difference", found.logit_difference, golden.difference.clean);
        assert_eq!(found.shares.len(), golden.attribution.len());
        for share in found.shares {
            let name = match share.component {
                Component::Embedding => "hook_embed".into(),
                Component::Head { layer, head } => format!("blocks.{layer}.attn.hook_result.{head}"),
                Component::AttentionBias { layer } => format!("blocks.{layer}.attn.b_O"),
                Component::Attention { layer } => format!("blocks.{layer}.hook_attn_out"),
                Component::Mlp { layer } => format!("blocks.{layer}.hook_mlp_out"),
                Component::FinalNormBias => "ln_final.b".into(),
            };
            near(&name, share.value, golden.attribution[&name]);
        }
    }
}

#[test]
fn the_lens_is_transformer_lenss() {
    let golden = golden();
    for mut session in sessions() {
        let (tokens, last) = (&golden.clean, golden.clean.len());
        let watched = [golden.answer, golden.wrong];
        let what =
            LensReading { tokens, positions: last - 1..last, watched: &watched, top: 1, edits: &[], tuned: None };
        let mut layers = Vec::new();
        let reading = logit_lens(&mut session.engine, &what, &(), |_, _| {}, |layer| layers.push(layer));
        pollster::block_on(reading).unwrap();
        assert_eq!(layers.len(), golden.lens.len());
        for layer in layers {
            let (name, cell) = (layer.site.to_string(), &layer.cells[0]);
            let expected = &golden.lens[&name];
            near(&name, cell.watched[0].log_prob, expected.answer);
            near(&name, cell.watched[1].log_prob, expected.wrong);
            near(&name, cell.entropy, expected.entropy);
        }
    }
}

#[test]
fn patched_runs_are_transformer_lenss() {
    let golden = golden();
    let metric = Metric::LogitDifference { answer: golden.answer, wrong: golden.wrong };
    let places = [
        ("resid-pre", PatchPlace::ResidPre),
        ("attn-out", PatchPlace::AttnOut),
        ("mlp-out", PatchPlace::MlpOut),
        ("heads", PatchPlace::Heads),
    ];
    for mut session in sessions() {
        for (name, place) in places {
            let what = Patching {
                clean: &golden.clean,
                corrupt: &golden.corrupt,
                metric,
                place,
                direction: PatchDirection::Denoise,
                seeds: &[],
                unrelated: &[],
            };
            let (mut cells, mut first) = (0, 0);
            let keep = |step| match step {
                PatchStep::Baseline(baseline) => {
                    near("clean", baseline.clean, golden.difference.clean);
                    near("corrupt", baseline.corrupt, golden.difference.corrupt);
                    first = baseline.first_difference as usize;
                }
                PatchStep::Cell(cell) => {
                    let expected = golden.patching[name][cell.layer as usize][cell.column as usize];
                    near(&format!("{name} {} {}", cell.layer, cell.column), cell.metric, expected);
                    cells += 1;
                }
            };
            pollster::block_on(activation_patching(&mut session.engine, &what, &(), |_, _| {}, keep)).unwrap();
            let columns = if name == "heads" { 4 } else { golden.clean.len() - first };
            assert_eq!(cells, 2 * columns, "{name}");
        }
    }
}
