//! Patching, attribution, ablation and attention against transformers with forward hooks, and the two backends against
//! each other.
//!
//! Scores are shares of a logit difference of more than ten, so that 2e-3 of it is what f32 sums in another order may
//! come to; a patch at a wrong token, layer or head is off by far more wherever a patch does anything.

use serde::Deserialize;
use std::cell::Cell;
use tiller_engine::{BackendKind, Controls, EngineError, PatchDirection, PatchPlace};
use tiller_experiment::Session;
use tiller_interp::InterpError;
use tiller_interp::attention::{attention_patterns, head_scores, repeated_text};
use tiller_interp::attribution::{Attribution, Component, direct_logit_attribution};
use tiller_interp::patch::{
    Ablation, AblationStep, Metric, PatchBaseline, PatchCell, PatchStep, Patching, Replacement, ablation_sweep,
    activation_patching,
};
use tiller_recipe::Prompt;
use tiller_tests::architectures::{ARCHITECTURES, load_repository};
use tiller_tests::load;

const SHARE: f64 = 2e-3;
const LOGITS: f64 = 2e-3;

#[derive(Deserialize)]
struct Golden {
    pairs: Vec<Pair>,
    ablation: GoldenAblation,
    pattern: GoldenPattern,
    repeated_ids: Vec<u32>,
    head_scores: Vec<[f64; 4]>,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    clean: String,
    corrupt: String,
    answer: String,
    wrong: String,
    clean_ids: Vec<u32>,
    corrupt_ids: Vec<u32>,
    answer_id: u32,
    wrong_id: u32,
    clean_metric: f64,
    corrupt_metric: f64,
    first_difference: u32,
    cells: Vec<GoldenCell>,
    attribution: GoldenAttribution,
}

#[derive(Deserialize)]
struct GoldenCell {
    site: PatchPlace,
    direction: PatchDirection,
    layer: u32,
    column: u32,
    metric: f64,
    score: f64,
}

#[derive(Deserialize)]
struct GoldenAttribution {
    logit_difference: f64,
    embedding: f64,
    heads: Vec<Vec<f64>>,
    mlps: Vec<f64>,
}

#[derive(Deserialize)]
struct GoldenAblation {
    neutral_ids: Vec<u32>,
    metric: f64,
    perplexity: f64,
    ablations: Vec<GoldenEffect>,
}

#[derive(Deserialize)]
struct GoldenEffect {
    by: String,
    layer: u32,
    head: Option<usize>,
    metric: f64,
    perplexity: f64,
}

#[derive(Deserialize)]
struct GoldenPattern {
    layer: u32,
    heads: Vec<Vec<Vec<f32>>>,
}

fn golden() -> Golden {
    let golden = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/golden/patching.json")).unwrap();
    serde_json::from_slice(&golden).unwrap()
}

impl Pair {
    fn metric(&self) -> Metric {
        Metric::LogitDifference { answer: self.answer_id, wrong: self.wrong_id }
    }

    fn patching(&self, place: PatchPlace, direction: PatchDirection) -> Patching<'_> {
        Patching {
            clean: &self.clean_ids,
            corrupt: &self.corrupt_ids,
            metric: self.metric(),
            place,
            direction,
            seeds: &[1],
            unrelated: &[],
        }
    }
}

fn patch(session: &mut Session, what: &Patching<'_>) -> Result<(PatchBaseline, Vec<PatchCell>), InterpError> {
    let (mut baseline, mut cells) = (None, Vec::new());
    let sink = |step| match step {
        PatchStep::Baseline(found) => baseline = Some(found),
        PatchStep::Cell(cell) => cells.push(cell),
    };
    pollster::block_on(activation_patching(&mut session.engine, what, &(), |_, _| {}, sink))?;
    Ok((baseline.expect("the baseline comes first"), cells))
}

fn attribute(session: &mut Session, prompt: &[u32], answer: u32, wrong: u32) -> Result<Attribution, InterpError> {
    pollster::block_on(direct_logit_attribution(&mut session.engine, prompt, answer, wrong, &(), |_, _| {}))
}

#[test]
fn patched_cells_are_the_references_in_both_directions() {
    let golden = golden();
    let mut session = load(BackendKind::Cpu, 512);
    for pair in &golden.pairs {
        let tokens = |text: &str| session.tokens(&Prompt::Text(text.into())).unwrap();
        assert_eq!([tokens(&pair.clean), tokens(&pair.corrupt)], [pair.clean_ids.clone(), pair.corrupt_ids.clone()]);
        let answers = [&pair.answer, &pair.wrong].map(|text| session.one_token(text).unwrap());
        assert_eq!(answers, [pair.answer_id, pair.wrong_id]);
        let mut compared = 0;
        for place in PatchPlace::ALL {
            for direction in PatchDirection::ALL {
                let (baseline, cells) =
                    patch(&mut session, &Patching { seeds: &[], ..pair.patching(place, direction) }).unwrap();
                assert!((baseline.clean - pair.clean_metric).abs() < LOGITS, "{baseline:?}");
                assert!((baseline.corrupt - pair.corrupt_metric).abs() < LOGITS, "{baseline:?}");
                assert_eq!(baseline.first_difference, pair.first_difference);
                let columns =
                    if place.is_by_head() { 9 } else { pair.clean_ids.len() as u32 - baseline.first_difference };
                assert_eq!(cells.len() as u32, 30 * columns);
                for expected in pair.cells.iter().filter(|cell| (cell.site, cell.direction) == (place, direction)) {
                    let at = |cell: &&PatchCell| (cell.layer, cell.column) == (expected.layer, expected.column);
                    let found = cells.iter().find(at).unwrap();
                    let what = format!("{}, {place}, {direction}, {found:?}, expected {}", pair.name, expected.score);
                    assert!((found.score - expected.score).abs() < SHARE, "{what}");
                    assert!((found.metric - expected.metric).abs() < SHARE * 12.0, "{what}");
                    compared += 1;
                }
            }
        }
        assert_eq!(compared, pair.cells.len());
    }
}

#[test]
fn the_whole_difference_is_found_where_it_enters_and_where_it_leaves() {
    // At the first block's input only the differing token can matter; at the last block's output only the last one.
    let golden = golden();
    let pair = &golden.pairs[1];
    let mut session = load(BackendKind::Cpu, 512);
    let effect = |session: &mut Session, place, layer, column| {
        let (_, cells) = patch(session, &pair.patching(place, PatchDirection::Denoise)).unwrap();
        let found = cells.into_iter().find(|cell| (cell.layer, cell.column) == (layer, column)).unwrap();
        assert!(found.band() < 0.7, "a random direction of that length does not bring the answer back: {found:?}");
        found.effect
    };
    assert!((effect(&mut session, PatchPlace::ResidPre, 0, 3) - 1.0).abs() < 1e-5);
    assert!(effect(&mut session, PatchPlace::ResidPre, 0, 4).abs() < 1e-5);
    assert!((effect(&mut session, PatchPlace::ResidPost, 29, 4) - 1.0).abs() < 1e-5);
    assert!(effect(&mut session, PatchPlace::ResidPost, 29, 3).abs() < 1e-5);
}

#[test]
fn parts_of_the_logit_difference_are_the_references() {
    for backend in [BackendKind::Cpu, BackendKind::Gpu] {
        let mut session = load(backend, 64);
        for pair in &golden().pairs {
            let found = attribute(&mut session, &pair.clean_ids, pair.answer_id, pair.wrong_id).unwrap();
            let expected = &pair.attribution;
            assert!((found.logit_difference - expected.logit_difference).abs() < LOGITS);
            assert_eq!(found.shares.len(), 1 + 30 * 9 + 30);
            for share in &found.shares {
                let expected = match share.component {
                    Component::Embedding => expected.embedding,
                    Component::Head { layer, head } => expected.heads[layer as usize][head as usize],
                    Component::Mlp { layer } => expected.mlps[layer as usize],
                    other => panic!("{other:?} is no part of this model"),
                };
                assert!((share.value - expected).abs() < 1e-3, "{}: {share:?}, expected {expected}", pair.name);
            }
        }
    }
}

#[test]
fn parts_add_up_to_the_logit_difference_in_every_architecture() {
    for name in ARCHITECTURES {
        let mut session = load_repository(name, None, None);
        let found = attribute(&mut session, &[3, 1, 4, 1, 5], 7, 11);
        if session.engine.config().logit_soft_cap.is_some() {
            let refusal = found.unwrap_err().to_string();
            assert!(refusal.contains("caps its logits"), "{name}: {refusal}");
            continue;
        }
        let found = found.unwrap();
        let sum: f64 = found.shares.iter().map(|share| share.value).sum();
        let size: f64 = found.shares.iter().map(|share| share.value.abs()).sum();
        assert!(
            (sum - found.logit_difference).abs() < 1e-5 * size.max(1.0),
            "{name}: {sum}, {}",
            found.logit_difference
        );
    }
}

#[test]
fn ablated_heads_and_mlps_are_the_references() {
    let golden = golden();
    let (pair, expected) = (&golden.pairs[0], &golden.ablation);
    let mut session = load(BackendKind::Cpu, 512);
    // The cost is measured once, since it takes a run of the neutral text for each of 360 ablations.
    for (replacement, name, with_cost) in [(Replacement::Zero, "zero", true), (Replacement::Mean, "mean", false)] {
        let what = Ablation {
            prompt: &pair.clean_ids,
            metric: pair.metric(),
            neutral: std::slice::from_ref(&expected.neutral_ids),
            replacement,
            seeds: &[1],
            with_cost,
        };
        let mut layers = Vec::new();
        let sink = |step| match step {
            AblationStep::Baseline(plain) => {
                assert!((plain.metric - expected.metric).abs() < LOGITS);
                assert_eq!(plain.perplexity.is_some(), with_cost);
                let off = plain.perplexity.map_or(0.0, |found| found / expected.perplexity - 1.0);
                assert!(off.abs() < 1e-3, "{plain:?}");
            }
            AblationStep::Layer(layer) => layers.push(layer),
        };
        pollster::block_on(ablation_sweep(&mut session.engine, &what, &(), |_, _| {}, sink)).unwrap();
        assert_eq!(layers.len(), 30);
        let of_this_kind: Vec<_> = expected.ablations.iter().filter(|effect| effect.by == name).collect();
        assert_eq!(of_this_kind.len(), 8);
        for effect in of_this_kind {
            let layer = &layers[effect.layer as usize];
            let found = effect.head.map_or(layer.mlp, |head| layer.heads[head]);
            let what = format!("{name} {} {:?}: {found:?}, {}", effect.layer, effect.head, effect.metric);
            assert!((found.metric - effect.metric).abs() < 4e-3, "{what}");
            assert_eq!(found.perplexity.is_some(), with_cost);
            let off = found.perplexity.map_or(0.0, |found| found / effect.perplexity - 1.0);
            assert!(off.abs() < 2e-3, "{what}, perplexity {:?}, {}", found.perplexity, effect.perplexity);
        }
        assert!(layers.iter().all(|layer| layer.head_controls.len() == 1 && layer.mlp_controls.len() == 1));
    }
}

#[test]
fn attention_is_the_references_and_finds_induction() {
    let golden = golden();
    let mut session = load(BackendKind::Cpu, 64);
    let layer = golden.pattern.layer;
    let patterns = attention_patterns(&mut session.engine, &golden.pairs[0].clean_ids, layer, &(), |_, _| {});
    for (found, expected) in pollster::block_on(patterns).unwrap().iter().zip(&golden.pattern.heads) {
        assert_eq!(found.rows.len(), expected.len());
        for (found, expected) in found.rows.iter().flatten().zip(expected.iter().flatten()) {
            assert!((found - expected).abs() < 1e-4, "{found}, expected {expected}");
        }
    }
    assert_eq!(repeated_text(49152, 1), golden.repeated_ids);
    let scores = pollster::block_on(head_scores(&mut session.engine, 1, &(), |_, _| {})).unwrap();
    assert_eq!(scores.len(), 30 * 9);
    for (found, expected) in scores.iter().zip(&golden.head_scores) {
        let values = [found.previous, found.first, found.duplicate, found.induction];
        let near = values.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-3);
        assert!(near, "{found:?}, expected {expected:?}");
    }
    assert!(scores.iter().any(|head| head.induction > 0.5), "a model of this size has induction heads");
}

#[test]
fn both_backends_give_the_same_cells_and_controls() {
    let pair = &golden().pairs[1];
    let cells = |backend| {
        let mut session = load(backend, 256);
        let unrelated = [vec![504, 2436, 3575, 1028, 314]];
        let what =
            Patching { unrelated: &unrelated, ..pair.patching(PatchPlace::HeadsAtLast, PatchDirection::Denoise) };
        let mut cells = patch(&mut session, &what).unwrap().1;
        cells.sort_by_key(|cell| (cell.layer, cell.column));
        cells
    };
    let (cpu, gpu) = (cells(BackendKind::Cpu), cells(BackendKind::Gpu));
    assert_eq!((cpu.len(), gpu.len()), (270, 270));
    for (cpu, gpu) in cpu.iter().zip(&gpu) {
        assert!((cpu.effect - gpu.effect).abs() < SHARE, "{cpu:?} {gpu:?}");
        assert_eq!((cpu.controls.len(), gpu.controls.len()), (2, 2));
        let near = cpu.controls.iter().zip(&gpu.controls).all(|(cpu, gpu)| (cpu - gpu).abs() < SHARE);
        assert!(near, "{cpu:?} {gpu:?}");
    }
}

#[test]
fn prompts_that_cannot_be_compared_are_refused() {
    let pair = &golden().pairs[1];
    let mut session = load(BackendKind::Cpu, 256);
    let what = pair.patching(PatchPlace::ResidPost, PatchDirection::Denoise);
    let mut refusal = |what: Patching<'_>| patch(&mut session, &what).unwrap_err().to_string();
    assert!(refusal(Patching { corrupt: &pair.clean_ids, ..what.clone() }).contains("the same"));
    let message = refusal(Patching { corrupt: &pair.clean_ids[1..], ..what.clone() });
    assert!(message.contains("has 5 tokens and the corrupt one 4"), "{message}");
    // The two tokens are equally unlikely after both.
    let metric = Metric::LogitDifference { answer: 7042, wrong: 7042 };
    let message = refusal(Patching { metric, ..what.clone() });
    assert!(message.contains("too little") && message.contains("0.00 after"), "{message}");
    assert!(
        refusal(Patching { metric: Metric::LogProbability { token: 1 << 30 }, ..what.clone() }).contains("vocabulary")
    );
    assert!(refusal(Patching { unrelated: &[vec![1]], ..what.clone() }).contains("1 tokens"));
}

#[test]
fn patching_stops_within_a_step_when_it_is_cancelled() {
    struct After(Cell<u32>);
    impl Controls for After {
        fn cancelled(&self) -> bool {
            self.0.set(self.0.get() + 1);
            self.0.get() > 8
        }
    }
    let pair = &golden().pairs[0];
    let mut session = load(BackendKind::Cpu, 512);
    let what = pair.patching(PatchPlace::ResidPost, PatchDirection::Denoise);
    let mut cells = 0;
    let controls = After(Cell::new(0));
    let sink = |step| cells += u32::from(matches!(step, PatchStep::Cell(_)));
    let ended = pollster::block_on(activation_patching(&mut session.engine, &what, &controls, |_, _| {}, sink));
    assert!(matches!(ended, Err(InterpError::Engine(EngineError::Cancelled))), "{ended:?}");
    assert_eq!(controls.0.get(), 9, "it asked once more after it was cancelled");
    assert!(cells > 0 && cells < 30 * 5, "what came before it stays: {cells}");
}
