//! Probes and erasures against scikit-learn and the concept-erasure package.
//!
//! Both compute in f64 from the same f32 numbers, and the file holds nine digits; what is left between them is where
//! iterations end: 1e-5 of the largest number. The real model's activations come from two programs, which round
//! differently in f32 (by about 1e-5): 1e-3 of the largest score.

use serde::Deserialize;
use std::collections::BTreeMap;
use tiller_engine::{BackendKind, Site};
use tiller_interp::probe::{Activations, FitOptions, Fitter, Leace, Probe, ProbeMethod, Read, Scores, read};
use tiller_tests::load;

#[derive(Deserialize)]
struct Golden {
    c: f64,
    alpha: f64,
    shrinkage: f64,
    cases: Vec<Case>,
    model: OfModel,
}

#[derive(Deserialize)]
struct Case {
    width: usize,
    rows: Vec<f32>,
    labels: Vec<bool>,
    probes: BTreeMap<String, Cut>,
    erased: Vec<f64>,
    coarse_scores: Vec<f64>,
    coarse: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Cut {
    weights: Vec<f64>,
    bias: f64,
}

#[derive(Deserialize)]
struct OfModel {
    site: Site,
    ids: Vec<Vec<u32>>,
    labels: Vec<bool>,
    training: usize,
    scores: BTreeMap<String, Vec<f64>>,
    taken: Vec<f64>,
    left: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/probes.json")).unwrap()
}

/// By the reference's name for it: the method and the options that it was fitted with.
fn named(name: &str, golden: &Golden) -> (ProbeMethod, FitOptions) {
    let fixed = name.strip_suffix("-fixed");
    let method = ProbeMethod::named(fixed.unwrap_or(name)).expect(name);
    let shrinkage = fixed.map(|_| golden.shrinkage);
    (method, FitOptions { c: golden.c, alpha: golden.alpha, shrinkage })
}

fn fitted(name: &str, golden: &Golden, activations: &Activations, labels: &[bool]) -> Probe {
    let (method, options) = named(name, golden);
    let training: Vec<usize> = (0..labels.len()).collect();
    let validation: Vec<(&[f32], bool)> = training.iter().map(|&text| (activations.row(text), labels[text])).collect();
    Fitter::of(method, options, activations, &training).probe(labels, &validation).expect("the classes differ")
}

/// Whether they differ by no more than this share of the largest expected number.
fn assert_near(what: &str, found: &[f64], expected: &[f64], share: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= share * largest, "{what}: {found}, expected {expected} (of {largest})");
    }
}

#[test]
fn probes_are_the_references() {
    let golden = golden();
    assert_eq!(golden.cases.len(), 3);
    for (n, case) in golden.cases.iter().enumerate() {
        let activations = Activations::new(case.width, case.rows.clone());
        assert_eq!(case.probes.len(), ProbeMethod::ALL.len() + 1);
        for (name, expected) in &case.probes {
            let found = fitted(name, &golden, &activations, &case.labels).readout;
            let what = format!("case {n}, {name}");
            assert_near(&what, &found.weights, &expected.weights, 1e-5);
            // The bias is of the size of the weights times the activations.
            let size = expected.weights.iter().map(|w| w.abs()).sum::<f64>() * 3.0 + expected.bias.abs();
            assert!((found.bias - expected.bias).abs() < 1e-5 * size, "{what}: {} {}", found.bias, expected.bias);
        }
    }
}

#[test]
fn erasures_are_the_references() {
    for (n, case) in golden().cases.iter().enumerate() {
        let activations = Activations::new(case.width, case.rows.clone());
        let texts: Vec<usize> = (0..case.labels.len()).collect();
        let leace = Leace::fit(&activations, &texts, &case.labels).unwrap();
        let found: Vec<f64> = (0..3).flat_map(|text| leace.erase(activations.row(text))).collect();
        assert_near(&format!("case {n}"), &found, &case.erased, 1e-6);
        // It takes nothing away twice, and the classes' means become one.
        let erased: Vec<Vec<f64>> = texts.iter().map(|&text| leace.erase(activations.row(text))).collect();
        let mean = |label: bool, at: usize| {
            let of_class: Vec<f64> =
                texts.iter().filter(|&&text| case.labels[text] == label).map(|&text| erased[text][at]).collect();
            of_class.iter().sum::<f64>() / of_class.len() as f64
        };
        for at in 0..case.width {
            let (positive, negative) = (mean(true, at), mean(false, at));
            assert!((positive - negative).abs() < 1e-6 * (1.0 + positive.abs()), "case {n}: {positive} {negative}");
        }
    }
}

#[test]
fn scores_are_the_references() {
    for (n, case) in golden().cases.iter().enumerate() {
        let scored: Vec<(f64, bool)> = case.coarse_scores.iter().copied().zip(case.labels.iter().copied()).collect();
        let found = Scores::of(&scored, 1.0);
        let values = [
            ("auc", found.auc.unwrap()),
            ("brier", found.brier),
            ("log_loss", found.log_loss),
            ("balanced_accuracy", found.balanced_accuracy.unwrap()),
        ];
        assert_eq!(case.coarse.len(), values.len());
        for (name, value) in values {
            assert!((value - case.coarse[name]).abs() < 1e-7, "case {n}, {name}: {value} {}", case.coarse[name]);
        }
    }
}

#[test]
fn probes_of_the_real_model_score_held_out_texts_as_the_references_do() {
    let golden = golden();
    let OfModel { site, ids, labels, training, scores, taken, left } = &golden.model;
    let mut session = load(BackendKind::Cpu, 512);
    let sites = [*site];
    let reading = read(&mut session.engine, ids, &sites, Read::Last, &[], &(), |_, _| {});
    let all = pollster::block_on(reading).unwrap().remove(0);
    let first = Activations::new(all.width(), (0..*training).flat_map(|text| all.row(text).to_vec()).collect());
    for (name, expected) in scores {
        let probe = fitted(name, &golden, &first, &labels[..*training]).readout;
        let found: Vec<f64> = (*training..ids.len()).map(|text| probe.score(all.row(text))).collect();
        assert_near(name, &found, expected, 1e-3);
    }
    let texts: Vec<usize> = (0..*training).collect();
    let leace = Leace::fit(&first, &texts, &labels[..*training]).unwrap();
    let logistic = fitted("logistic", &golden, &first, &labels[..*training]).readout;
    let (mut took, mut remains) = (Vec::new(), Vec::new());
    for text in *training..ids.len() {
        let erased = leace.erase(all.row(text));
        let square: f64 = all.row(text).iter().zip(&erased).map(|(&x, y)| (f64::from(x) - y).powi(2)).sum();
        took.push(square.sqrt());
        let score: f64 = logistic.weights.iter().zip(&erased).map(|(w, x)| w * x).sum();
        remains.push(score + logistic.bias);
    }
    assert_near("what is taken", &took, taken, 1e-3);
    // What is left is small beside what was there before.
    let largest = scores["logistic"].iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    assert!(remains.iter().zip(left).all(|(a, b)| (a - b).abs() < 1e-3 * largest), "{remains:?} {left:?}");
}
