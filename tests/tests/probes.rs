//! Probes and erasures against scikit-learn and the concept-erasure package.
//!
//! Both compute in f64 from the same f32 numbers, and the file holds nine digits; what is left between them is where
//! iterations end: 1e-5 of the largest number. The real model's activations come from two programs, which round
//! differently in f32 (by about 1e-5): 1e-3 of the largest score.

use serde::Deserialize;
use std::collections::BTreeMap;
use tiller_engine::{BackendKind, Site};
use tiller_interp::probe::{
    Activations, Erased, Erasing, Examples, FitOptions, Fitter, Leace, Probe, ProbeMethod, Read, Scores, Sweep,
    SweepOptions, erase_and_measure, read, sweep,
};
use tiller_interp::steer::random_direction;
use tiller_tests::load;
use tiller_tests::organisms::Organism;

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
    let method = fixed.unwrap_or(name).parse().expect(name);
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

/// The concept's texts of the planted organism, with labels and templates.
struct Planted {
    tokens: Vec<Vec<u32>>,
    labels: Vec<bool>,
    groups: Vec<u32>,
}

impl Planted {
    fn of(organism: &Organism, concept: &str) -> Planted {
        let pairs = organism.pairs(concept);
        let groups = organism.truth.pairs[concept].iter().flat_map(|pair| [pair.group; 2]).collect();
        let labels = pairs.iter().flat_map(|_| [true, false]).collect();
        Planted { tokens: pairs.into_iter().flat_map(|pair| [pair.positive, pair.negative]).collect(), labels, groups }
    }

    fn examples(&self) -> Examples<'_> {
        Examples { tokens: &self.tokens, labels: &self.labels, groups: Some(&self.groups) }
    }
}

fn sweep_organism(organism: &mut Organism, planted: &Planted, method: ProbeMethod) -> Sweep {
    let sites: Vec<Site> = (0..4).map(Site::ResidPost).collect();
    let options = SweepOptions { method, ..SweepOptions::default() };
    let (engine, examples) = (&mut organism.session.engine, planted.examples());
    let (mut layers, mut steps) = (0, Vec::new());
    let progress = |done, total| steps.push((done, total));
    let found = sweep(engine, &examples, &sites, &options, &(), progress, |_| layers += 1);
    let found = pollster::block_on(found).expect("the organism runs");
    assert_eq!((layers, found.layers.len()), (4, 4));
    assert!(steps.is_sorted() && steps.last().is_some_and(|(done, total)| done == total), "{steps:?}");
    found
}

#[test]
fn every_probe_decodes_what_is_used_and_what_is_not_and_only_what_is_used_steers() {
    const LENGTH: f32 = 1.5;
    let mut organism = Organism::open(None);
    let mood = Planted::of(&organism, "mood");
    let random: Vec<f32> =
        (0..8).map(|seed| organism.moved_by(&mood.tokens, 1, &random_direction(seed, 64), LENGTH).abs()).collect();
    let most = random.iter().copied().fold(0.0, f32::max);
    for method in ProbeMethod::ALL {
        for (concept, used) in [("mood", true), ("weather", false)] {
            let planted = Planted::of(&organism, concept);
            let found = sweep_organism(&mut organism, &planted, method);
            assert!(found.split.by_group && found.majority == 0.5);
            let at = &found.layers[1];
            let what = format!("{}, {concept}", method.name());
            assert_eq!(at.test.accuracy, 1.0, "{what}");
            let shuffled = at.shuffled.iter().sum::<f64>() / at.shuffled.len() as f64;
            assert!((0.3..0.7).contains(&shuffled), "{what}: {:?}", at.shuffled);
            let weights: Vec<f32> = at.probe.readout.weights.iter().map(|&w| w as f32).collect();
            let norm = at.probe.readout.norm() as f32;
            let unit: Vec<f32> = weights.iter().map(|w| w / norm).collect();
            let effect = organism.moved_by(&mood.tokens, 1, &unit, LENGTH);
            if !used {
                assert!(effect.abs() < 1.2 * most, "{what}: {effect}, random {random:?}");
            } else if method == ProbeMethod::MassMean {
                // Other probes may point away from what varies beside the mood, and so steer less.
                assert!(effect > 1.8 * most, "{what}: {effect}, random {random:?}");
            }
        }
    }
}

#[test]
fn what_is_erased_is_not_decodable_where_it_was_erased_and_shuffled_labels_erase_nothing() {
    let mut organism = Organism::open(None);
    let mood = Planted::of(&organism, "mood");
    let found = sweep_organism(&mut organism, &mood, ProbeMethod::Logistic);
    let neutral = organism.tokens(&organism.truth.neutral.clone());
    let what = Erasing {
        examples: &mood.examples(),
        split: &found.split,
        method: ProbeMethod::Logistic,
        fit: FitOptions::default(),
        read: Read::Last,
        site: Site::ResidPost(1),
        later: Some(Site::ResidPost(3)),
        neutral: &neutral,
        seeds: &[1, 2],
    };
    let erased = erase_and_measure(&mut organism.session.engine, &what, &(), |_, _| {});
    let Erased { after, perplexity_plain, perplexity, leace } = pollster::block_on(erased).expect("it runs");
    assert_eq!((after[0].before, after[1].before), (1.0, 1.0));
    assert!((0.3..0.7).contains(&after[0].after), "{after:?}");
    assert!(after.iter().flat_map(|at| &at.random).all(|&accuracy| accuracy > 0.95), "{after:?}");
    assert!(perplexity_plain.is_finite() && perplexity.value.is_finite() && perplexity.random.len() == 2);
    // Nor does the answer depend on the mood any more.
    let gap = |verdicts: &[f32]| {
        let (positive, negative): (Vec<(usize, &f32)>, Vec<_>) =
            verdicts.iter().enumerate().partition(|(n, _)| n % 2 == 0);
        let mean = |all: &[(usize, &f32)]| all.iter().map(|(_, x)| **x).sum::<f32>() / all.len() as f32;
        mean(&positive) - mean(&negative)
    };
    let plain = organism.verdicts(&mood.tokens, &[]);
    let left = organism.verdicts(&mood.tokens, &[leace.edit(Site::ResidPost(1))]);
    assert!(gap(&left).abs() < 0.2 * gap(&plain), "{} of {}", gap(&left), gap(&plain));
}
