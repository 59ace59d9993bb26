//! The tuner's Gaussian process against scikit-learn and scipy, and a tuned grid beside the whole one on the planted
//! organism.
//!
//! Both compute in f64, and the file holds nine digits.

use serde::Deserialize;
use tiller_interp::steer::{GridPlan, VectorMethod, grid, tuned_grid};
use tiller_interp::tune::{GaussianProcess, Hyperparameters};
use tiller_tests::organisms::Organism;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    points: Vec<[f64; 2]>,
    values: Vec<f64>,
    length_scales: [f64; 2],
    variance: f64,
    noise: f64,
    log_likelihood: f64,
    asked: Vec<[f64; 2]>,
    mean: Vec<f64>,
    deviation: Vec<f64>,
    expected_improvement: Vec<f64>,
    probability_below: Vec<f64>,
}

#[test]
fn posteriors_and_expected_improvements_are_the_references() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/gaussian_process.json")).unwrap();
    assert_eq!(golden.cases.len(), 3);
    for (n, case) in golden.cases.iter().enumerate() {
        let Case { length_scales, variance, noise, .. } = *case;
        let hyperparameters = Hyperparameters { length_scales, variance, noise };
        let process = GaussianProcess::of(&case.points, &case.values, hyperparameters).unwrap();
        let best = case.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let near = |what: &str, found: f64, expected: f64| {
            assert!((found - expected).abs() < 1e-7, "case {n}, {what}: {found}, expected {expected}");
        };
        near("log likelihood", process.log_likelihood(), case.log_likelihood);
        for (at, &point) in case.asked.iter().enumerate() {
            let found = process.posterior(point);
            near("mean", found.mean, case.mean[at]);
            near("deviation", found.deviation, case.deviation[at]);
            near("expected improvement", found.expected_improvement(best), case.expected_improvement[at]);
            near("probability", found.probability_below(0.25), case.probability_below[at]);
        }
    }
}

#[test]
fn a_tuned_grid_comes_near_the_whole_ones_choice_with_a_fifth_of_its_runs() {
    let mut organism = Organism::open(None);
    let mut pairs = organism.pairs("mood");
    let [good, bad] = [&organism.truth.answers.positive, &organism.truth.answers.negative]
        .map(|answer| organism.session.one_token(answer).unwrap());
    for pair in &mut pairs {
        pair.positive.push(good);
        pair.negative.push(bad);
    }
    let neutral = organism.tokens(&organism.truth.neutral.clone());
    let strengths: Vec<f32> = (-4..=20).filter(|n| *n != 0).map(|n| n as f32 * 0.01).collect();
    let plan = GridPlan {
        method: VectorMethod::MeanDifference,
        pairs: &pairs[..24],
        layers: &[0, 1, 2, 3],
        strengths: &strengths,
        neutral: &neutral,
        most_cost: 0.1,
        seeds: &[1, 2, 3, 4],
    };
    let engine = &mut organism.session.engine;
    let whole = pollster::block_on(grid(engine, &plan, &(), |_, _| {}, |_| {})).unwrap();
    let (mut handed_out, mut last) = (0, (0, 0));
    let progress = |done, total| last = (done, total);
    let tuned = pollster::block_on(tuned_grid(engine, &plan, 19, &(), progress, |_| handed_out += 1)).unwrap();
    assert_eq!((whole.possible, tuned.possible), (96, 96));
    assert_eq!((tuned.cells.len(), handed_out, last.0), (19, 19, last.1));
    // A cell is read as the grid reads it, whatever the order.
    for cell in &tuned.cells {
        let same = whole.cells.iter().find(|other| (other.layer, other.strength) == (cell.layer, cell.strength));
        assert_eq!(same.unwrap().found, cell.found);
    }
    let effect = |report: &tiller_interp::steer::GridReport| {
        let chosen = report.chosen.as_ref().expect("the concept is causal");
        let cells = report.cells.iter().find(|c| (c.layer, c.strength) == (chosen.layer, chosen.strength));
        (cells.unwrap().found.unwrap().effect, chosen.clone())
    };
    let ((of_whole, _), (of_tuned, chosen)) = (effect(&whole), effect(&tuned));
    println!("{of_tuned} of {of_whole}, at {} x {}", chosen.layer, chosen.strength);
    assert!(of_tuned >= 0.9 * of_whole, "{of_tuned} of {of_whole}");
    let random = chosen.random.iter().map(|random| random.effect.abs()).fold(0.0, f64::max);
    assert!(chosen.effect.interval.unwrap().0 > random, "{:?}, random {random}", chosen.effect);
    assert!(chosen.perplexity <= 1.1 * tuned.perplexity_plain);
}
