//! The grid of layers and strengths: on the planted organism, whose causal layers are known, and on the real model.

use serde::Deserialize;
use tiller_engine::BackendKind;
use tiller_interp::InterpError;
use tiller_interp::steer::{GridPlan, GridReport, TokenPair, VectorMethod, grid};
use tiller_tests::organisms::Organism;

const LAYERS: [u32; 4] = [0, 1, 2, 3];
const STRENGTHS: [f32; 4] = [-0.05, 0.03, 0.06, 0.12];

/// The pairs of a concept, each text with the answer that it calls for.
fn answered(organism: &Organism, concept: &str) -> Vec<TokenPair> {
    let mut pairs = organism.pairs(concept);
    let texts = pairs.iter_mut().flat_map(|pair| [&mut pair.positive, &mut pair.negative]);
    let texts: Vec<&mut Vec<u32>> = texts.collect();
    let (good, bad) = (&organism.truth.answers.positive, &organism.truth.answers.negative);
    let (good, bad) = (organism.session.one_token(good).unwrap(), organism.session.one_token(bad).unwrap());
    for (n, text) in texts.into_iter().enumerate() {
        text.push(if n % 2 == 0 { good } else { bad });
    }
    // The weather has no say in the answer: both texts of a pair have the same one.
    if concept == "weather" {
        for (n, pair) in pairs.iter_mut().enumerate() {
            let answer = if n % 2 == 0 { good } else { bad };
            *pair.positive.last_mut().unwrap() = answer;
            *pair.negative.last_mut().unwrap() = answer;
        }
    }
    pairs
}

fn search(organism: &mut Organism, pairs: &[TokenPair]) -> GridReport {
    let neutral = organism.tokens(&organism.truth.neutral.clone());
    let plan = GridPlan {
        method: VectorMethod::MeanDifference,
        pairs,
        layers: &LAYERS,
        strengths: &STRENGTHS,
        neutral: &neutral,
        most_cost: 0.5,
        seeds: &[1, 2, 3, 4, 5, 6, 7, 8],
    };
    let (mut cells, mut last) = (0, (0, 0));
    let report = grid(&mut organism.session.engine, &plan, &(), |done, total| last = (done, total), |_| cells += 1);
    let report = pollster::block_on(report).expect("the organism runs");
    assert_eq!((cells, last.0), (report.cells.len(), last.1), "all cells are handed out, and the count is whole");
    report
}

#[test]
fn the_grid_finds_the_planted_concept_and_its_choice_holds_on_other_pairs() {
    let mut organism = Organism::open(None);
    let pairs = answered(&organism, "mood");
    let report = search(&mut organism, &pairs);
    assert_eq!((report.cells.len(), report.choosing), (16, 72));
    // Against the concept the texts become less likely, with it more.
    for cells in report.cells.chunks(STRENGTHS.len()) {
        let effects: Vec<f64> = cells.iter().map(|cell| cell.found.unwrap().effect).collect();
        assert!(effects[0] < 0.0 && effects[1] > 0.0 && effects[3] > effects[1], "{effects:?}");
    }
    let chosen = report.chosen.expect("the concept is causal");
    let (low, _) = chosen.effect.interval.unwrap();
    let random = chosen.random.iter().map(|random| random.effect.abs()).fold(0.0, f64::max);
    assert_eq!(chosen.random.len(), 8);
    assert!(low > random, "{:?}, random {random}", chosen.effect);
    assert!(chosen.perplexity <= 1.5 * report.perplexity_plain);
}

#[test]
fn a_concept_that_nobody_reads_has_no_effect_at_any_cell() {
    let mut organism = Organism::open(None);
    let pairs = answered(&organism, "weather");
    let report = search(&mut organism, &pairs);
    let largest =
        |report: &GridReport| report.cells.iter().map(|cell| cell.found.unwrap().effect.abs()).fold(0.0, f64::max);
    let pairs = answered(&organism, "mood");
    let of_the_mood = largest(&search(&mut organism, &pairs));
    // What is left is what a longer stream does to the norms.
    assert!(largest(&report) < 0.1 * of_the_mood, "{} beside {of_the_mood}", largest(&report));
}

#[test]
fn both_backends_find_the_same_grid() {
    let mut on_cpu = Organism::open(None);
    let mut on_gpu = Organism::open(tiller_tests::open(BackendKind::Gpu));
    let pairs = &answered(&on_cpu, "mood")[..12];
    let (cpu, gpu) = (search(&mut on_cpu, pairs), search(&mut on_gpu, pairs));
    let close = |a: f64, b: f64| (a - b).abs() < 2e-3 * a.abs().max(1.0);
    assert!(close(cpu.perplexity_plain, gpu.perplexity_plain));
    for (a, b) in cpu.cells.iter().zip(&gpu.cells) {
        let (x, y) = (a.found.unwrap(), b.found.unwrap());
        assert!(close(x.effect, y.effect) && close(x.perplexity, y.perplexity) && close(x.divergence, y.divergence));
    }
    let (cpu, gpu) = (cpu.chosen.unwrap(), gpu.chosen.unwrap());
    assert_eq!((cpu.layer, cpu.strength), (gpu.layer, gpu.strength));
    assert!(close(cpu.effect.mean, gpu.effect.mean));
}

#[test]
fn too_few_pairs_are_refused() {
    let mut organism = Organism::open(None);
    let pairs = organism.pairs("mood")[..3].to_vec();
    let plan = GridPlan {
        method: VectorMethod::MeanDifference,
        pairs: &pairs,
        layers: &LAYERS,
        strengths: &STRENGTHS,
        neutral: &[1; 8],
        most_cost: 0.5,
        seeds: &[],
    };
    let refused = pollster::block_on(grid(&mut organism.session.engine, &plan, &(), |_, _| {}, |_| {}));
    assert!(matches!(refused, Err(InterpError::TooFewPairs { pairs: 3, needed: 4 })), "{refused:?}");
}

/// grid.json, as grid.py writes it.
#[derive(Deserialize)]
struct Golden {
    pairs: Vec<GoldenPair>,
    neutral: Vec<u32>,
    layers: Vec<u32>,
    strengths: Vec<f32>,
    perplexity_plain: f64,
    cells: Vec<GoldenCell>,
}

#[derive(Deserialize)]
struct GoldenPair {
    positive: Vec<u32>,
    negative: Vec<u32>,
}

#[derive(Deserialize)]
struct GoldenCell {
    layer: u32,
    strength: f32,
    effect: f64,
    /// Of each pair that reports.
    reported: Vec<f64>,
    perplexity: f64,
    divergence: f64,
}

/// Differences of log probabilities of some 70 tokens, each within 1e-4 nats of the reference.
const NATS: f64 = 5e-3;

#[test]
fn effects_costs_and_the_choice_are_those_of_the_reference() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/grid.json")).expect("grid.json is as written");
    let pair = |pair: GoldenPair| TokenPair { positive: pair.positive, negative: pair.negative };
    let pairs: Vec<TokenPair> = golden.pairs.into_iter().map(pair).collect();
    let plan = GridPlan {
        method: VectorMethod::MeanDifference,
        pairs: &pairs,
        layers: &golden.layers,
        strengths: &golden.strengths,
        neutral: &golden.neutral,
        most_cost: 0.2,
        seeds: &[1, 2, 3, 4],
    };
    let mut session = tiller_tests::load(BackendKind::Cpu, 1024);
    let report = pollster::block_on(grid(&mut session.engine, &plan, &(), |_, _| {}, |_| {})).expect("it runs");
    let near = |a: f64, b: f64, tolerance: f64| (a - b).abs() <= tolerance;
    assert!(near(report.perplexity_plain, golden.perplexity_plain, 1e-3 * golden.perplexity_plain));
    assert_eq!(report.cells.len(), golden.cells.len());
    for (cell, expected) in report.cells.iter().zip(&golden.cells) {
        let found = cell.found.expect("the outputs are numbers");
        assert_eq!((cell.layer, cell.strength), (expected.layer, expected.strength));
        assert!(near(found.effect, expected.effect, NATS), "{cell:?}, expected {}", expected.effect);
        assert!(near(found.perplexity, expected.perplexity, 1e-3 * expected.perplexity), "{cell:?}");
        assert!(near(found.divergence, expected.divergence, 1e-3), "{cell:?}, expected {}", expected.divergence);
    }
    // The best of those that cost at most a fifth, by the other pairs.
    let affordable = golden.cells.iter().filter(|cell| cell.perplexity <= 1.2 * golden.perplexity_plain);
    let best = affordable.max_by(|a, b| a.effect.total_cmp(&b.effect)).unwrap();
    let chosen = report.chosen.expect("cheerfulness can be steered");
    assert_eq!((chosen.layer, chosen.strength, chosen.effect.examples), (best.layer, best.strength, 4));
    let mean = best.reported.iter().sum::<f64>() / 4.0;
    assert!(near(chosen.effect.mean, mean, NATS), "{:?}, expected {mean}", chosen.effect);
    // And beside random directions of its length it holds.
    let random = chosen.random.iter().map(|random| random.effect).fold(f64::MIN, f64::max);
    let (low, _) = chosen.effect.interval.unwrap();
    assert!(chosen.random.len() == 4 && low > random && low > 0.0, "{:?}, random at most {random}", chosen.effect);
}
