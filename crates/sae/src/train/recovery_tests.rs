//! Whether training finds the features that activations are made of.

use super::random::Random;
use super::start::normalise;
use super::{ActivationRows, Method, Progress, RowsInMemory, TrainError, TrainOptions, fit};
use crate::Sae;
use std::ops::ControlFlow;

const WIDTH: usize = 32;
const PLANTED: usize = 64;
const ROWS: usize = 20_000;
/// Features that are active at once, on average.
const ACTIVE: f64 = 3.0;

/// Directions, and activations that are sums of a few of them, each times a number between 1 and 3, off the origin.
fn planted(seed: u64) -> (Vec<Vec<f32>>, Vec<f32>) {
    let mut random = Random::new(seed);
    let mut direction = || {
        let mut direction: Vec<f32> = (0..WIDTH).map(|_| random.gaussian()).collect();
        normalise(&mut direction);
        direction
    };
    let directions: Vec<Vec<f32>> = (0..PLANTED).map(|_| direction()).collect();
    let middle: Vec<f32> = direction().iter().map(|x| 5.0 * x).collect();
    let mut rows = Vec::with_capacity(ROWS * WIDTH);
    for _ in 0..ROWS {
        let mut row = middle.clone();
        for direction in &directions {
            if random.uniform() < ACTIVE / PLANTED as f64 {
                let size = 1.0 + 2.0 * random.uniform() as f32;
                row.iter_mut().zip(direction).for_each(|(x, d)| *x += size * d);
            }
        }
        rows.extend(row);
    }
    (directions, rows)
}

/// The fraction of planted directions that a feature's direction is within a cosine of 0.9 of.
fn recovered(planted: &[Vec<f32>], sae: &Sae) -> f64 {
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let found = |p: &&Vec<f32>| (0..sae.d_sae).any(|i| cosine(p, sae.direction(i)) > 0.9);
    planted.iter().filter(found).count() as f64 / planted.len() as f64
}

fn train(
    rows: &impl ActivationRows,
    options: &TrainOptions,
    say: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Sae, TrainError> {
    pollster::block_on(super::train(rows, options, None, say))
}

/// Trains with twice as many features as are planted.
fn train_on(rows: &[f32], method: Method, steps: usize) -> Sae {
    let options = TrainOptions { learning_rate: 3e-3, ..TrainOptions::new(method, 2 * PLANTED, 256, steps) };
    let rows = RowsInMemory { values: rows, width: WIDTH };
    let mut last = None;
    let sae = train(&rows, &options, |progress| {
        last = Some(*progress);
        ControlFlow::Continue(())
    });
    eprintln!("{method:?}: {:?}", last.unwrap());
    let sae = sae.unwrap();
    sae.check().unwrap();
    sae
}

#[test]
fn topk_finds_planted_features() {
    let (directions, rows) = planted(1);
    let share = recovered(&directions, &train_on(&rows, Method::TopK { k: 4 }, 1500));
    assert!(share >= 0.95, "{share}");
}

#[test]
fn batch_topk_finds_planted_features() {
    let (directions, rows) = planted(2);
    let sae = train_on(&rows, Method::BatchTopK { k: 3 }, 3000);
    let share = recovered(&directions, &sae);
    assert!(share >= 0.95, "{share}");
    let fit = fit(&sae, &RowsInMemory { values: &rows, width: WIDTH }).unwrap();
    assert!(fit.explained_variance > 0.85 && (fit.length_ratio - 1.0).abs() < 0.1, "{fit:?}");
    assert_eq!(fit.density.iter().filter(|&&density| density > 0.0).count() + fit.dead(), sae.d_sae);
    // As a JumpReLU it lets through about as many, one activation at a time.
    assert!((2.5..3.5).contains(&fit.l0), "{}", fit.l0);
}

#[test]
fn a_penalty_finds_planted_features() {
    let (directions, rows) = planted(3);
    let share = recovered(&directions, &train_on(&rows, Method::Standard { sparsity: 1.0 }, 3000));
    assert!(share >= 0.95, "{share}");
}

#[test]
fn jumprelu_finds_planted_features() {
    let (directions, rows) = planted(4);
    let method = Method::JumpRelu { sparsity: 0.5, bandwidth: 0.2 };
    let share = recovered(&directions, &train_on(&rows, method, 3000));
    assert!(share >= 0.95, "{share}");
}

#[test]
fn matching_pursuit_finds_planted_features() {
    let (directions, rows) = planted(9);
    let sae = train_on(&rows, Method::MatchingPursuit { k: 4 }, 1500);
    let share = recovered(&directions, &sae);
    assert!(share >= 0.95, "{share}");
    let fit = fit(&sae, &RowsInMemory { values: &rows, width: WIDTH }).unwrap();
    assert!(fit.explained_variance > 0.9 && fit.l0 <= 4.0, "{fit:?}");
}

#[test]
fn directions_at_random_are_not_the_planted_ones() {
    let (directions, rows) = planted(5);
    let mut untrained = train_on(&rows, Method::TopK { k: 4 }, 1);
    let mut random = Random::new(77);
    untrained.w_dec.iter_mut().for_each(|x| *x = random.gaussian());
    untrained.w_dec.chunks_exact_mut(WIDTH).for_each(normalise);
    assert!(recovered(&directions, &untrained) < 0.05);
}

#[test]
fn a_seed_gives_the_same_autoencoder_and_another_gives_another() {
    let (_, rows) = planted(6);
    let with = |seed| {
        let options = TrainOptions { seed, ..TrainOptions::new(Method::TopK { k: 4 }, 40, 64, 20) };
        train(&RowsInMemory { values: &rows, width: WIDTH }, &options, |_| ControlFlow::Continue(())).unwrap()
    };
    assert_eq!(with(1), with(1));
    assert_ne!(with(1), with(2));
}

#[test]
fn training_can_be_stopped_and_says_how_it_goes() {
    let (_, rows) = planted(7);
    let options = TrainOptions { learning_rate: 1e-2, ..TrainOptions::new(Method::TopK { k: 4 }, 64, 64, 100) };
    let mut seen = Vec::new();
    let sae = train(&RowsInMemory { values: &rows, width: WIDTH }, &options, |progress| {
        seen.push(*progress);
        if progress.step == 60 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(sae.unwrap().d_sae, 64);
    assert_eq!(seen.len(), 60);
    assert!(seen[59].unexplained < 0.8 * seen[0].unexplained, "{:?} to {:?}", seen[0], seen[59]);
    assert!(seen.iter().all(|progress| progress.l0 <= 4.0));
}

#[test]
fn the_input_scale_is_folded_back() {
    let (_, rows) = planted(8);
    let far: Vec<f32> = rows.iter().map(|x| 50.0 * x).collect();
    let near = train_on(&rows, Method::TopK { k: 4 }, 50);
    let sae = train_on(&far, Method::TopK { k: 4 }, 50);
    let (small, large) = (near.encode(&rows[..WIDTH]), sae.encode(&far[..WIDTH]));
    assert_eq!(small.len(), large.len());
    for ((i, a), (j, b)) in small.into_iter().zip(large) {
        assert!(i == j && (50.0 * a - b).abs() < 0.02 * b, "{i}: {a}, {j}: {b}");
    }
}

#[test]
fn what_cannot_be_trained_on_is_refused() {
    let options = TrainOptions::new(Method::TopK { k: 4 }, 64, 64, 10);
    let refused = |values: &[f32], options: &TrainOptions| {
        train(&RowsInMemory { values, width: 4 }, options, |_| ControlFlow::Continue(())).unwrap_err().to_string()
    };
    assert!(refused(&[1.0; 40], &options).contains("fewer than a batch of 64"));
    assert!(refused(&[0.0; 4000], &options).contains("all alike"));
    assert!(refused(&[f32::NAN; 4000], &options).contains("all alike"));
    assert!(refused(&[1.0; 4000], &TrainOptions { method: Method::TopK { k: 65 }, ..options }).contains("k has to be"));
    assert!(refused(&[1.0; 4000], &TrainOptions { learning_rate: f32::NAN, ..options }).contains("rates"));
}
