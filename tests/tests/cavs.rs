//! Concept activation vectors: their parts against scipy and torch, the whole on the planted organism.

use serde::Deserialize;
use tiller_engine::Site;
use tiller_interp::patch::Metric;
use tiller_interp::probe::{CavLayer, CavOptions, Concept, Welch, concept_vectors, derivatives};
use tiller_tests::architectures::{load_repository, reference};
use tiller_tests::organisms::{Organism, concept_layer};

#[derive(Deserialize)]
struct Golden {
    answer: u32,
    wrong: u32,
    welch: Vec<Tested>,
    derivatives: Vec<OfModel>,
}

#[derive(Deserialize)]
struct Tested {
    first: Vec<f64>,
    second: Vec<f64>,
    t: f64,
    freedom: f64,
    p: f64,
}

#[derive(Deserialize)]
struct OfModel {
    model: String,
    layers: Vec<OfLayer>,
}

#[derive(Deserialize)]
struct OfLayer {
    layer: u32,
    /// Its length.
    gradient: f64,
    along: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/cav.json")).unwrap()
}

#[test]
fn welchs_test_is_scipys() {
    for expected in golden().welch {
        let found = Welch::of(&expected.first, &expected.second).unwrap();
        let near = |found: f64, expected: f64| (found - expected).abs() < 1e-8 * expected.abs();
        assert!(near(found.t, expected.t) && near(found.freedom, expected.freedom), "{found:?} {}", expected.t);
        assert!((found.p - expected.p).abs() < 1e-6 * expected.p, "{found:?} {}", expected.p);
    }
}

/// A difference of two passes in f32: a thousandth of the gradient's length, since a direction across it has a derivative
/// of 0 and the passes their rounding.
#[test]
fn derivatives_are_torchs() {
    let Golden { answer, wrong, derivatives: models, .. } = golden();
    for of_model in models {
        let mut session = load_repository(&of_model.model, None, None);
        let prompt = reference(&of_model.model).prompt;
        for OfLayer { layer, gradient, along } in of_model.layers {
            let width = session.engine.config().width as usize;
            let directions: Vec<Vec<f32>> = (0..along.len())
                .map(|n| {
                    let raw: Vec<f64> = (0..width).map(|i| (1.0 + (i * (n + 1)) as f64).sin()).collect();
                    let norm = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
                    raw.iter().map(|x| (x / norm) as f32).collect()
                })
                .collect();
            let directions: Vec<&[f32]> = directions.iter().map(|direction| &direction[..]).collect();
            let (site, metric) = (Site::ResidPost(layer), Metric::LogitDifference { answer, wrong });
            let (engine, step) = (&mut session.engine, 0.01);
            let found = derivatives(engine, &prompt, site, &directions, step, metric, &(), |_, _| {});
            let found = pollster::block_on(found).unwrap();
            for (found, expected) in found.iter().zip(along) {
                let what = format!("{} {site}", of_model.model);
                assert!((found - expected).abs() < 1e-3 * gradient, "{what}: {found} {expected} of {gradient}");
            }
        }
    }
}

#[test]
fn a_concept_that_is_used_is_significant_and_one_that_is_decodable_but_unused_is_not() {
    let mut organism = Organism::open(None);
    for (name, used) in [("mood", true), ("weather", false)] {
        for block in [0, 1] {
            let found = concept_layer(&mut organism, name, block);
            let mean = |of: fn(&tiller_interp::probe::Cav) -> f64, cavs: &[tiller_interp::probe::Cav]| {
                cavs.iter().map(of).sum::<f64>() / cavs.len() as f64
            };
            let what = format!(
                "{name} after {block}: {:?} {:?}, scores {:.2} {:.2}, sensitivities {:.2} {:.2}",
                found.share_test,
                found.size_test,
                mean(|cav| cav.score, &found.concept),
                mean(|cav| cav.score, &found.random),
                mean(|cav| cav.sensitivity.abs(), &found.concept),
                mean(|cav| cav.sensitivity.abs(), &found.random),
            );
            assert!(mean(|cav| cav.accuracy, &found.concept) >= 0.95, "{what}");
            assert!((0.3..0.7).contains(&mean(|cav| cav.accuracy, &found.random)), "{what}");
            assert_eq!(found.is_used(1), used, "{what}");
            if used {
                assert!(mean(|cav| cav.score, &found.concept) >= 0.95, "{what}");
            }
        }
    }
}

#[test]
fn too_few_texts_and_steps_that_make_no_sense_are_refused() {
    let mut organism = Organism::open(None);
    let [answer, wrong] = organism.answers();
    let metric = Metric::LogitDifference { answer, wrong };
    let texts: Vec<Vec<u32>> = organism.pairs("mood").into_iter().take(8).map(|pair| pair.positive).collect();
    let mut refusal = |positive: &[Vec<u32>], others: &[Vec<u32>], prompts: &[Vec<u32>], options: CavOptions| {
        let concept = Concept { positive, others, prompts, metric };
        let (engine, sites) = (&mut organism.session.engine, [Site::ResidPost(0)]);
        let found = concept_vectors(engine, &concept, &sites, &options, &(), |_, _| {}, |_: &CavLayer| {});
        pollster::block_on(found).unwrap_err().to_string()
    };
    let options = CavOptions::default();
    assert!(refusal(&texts[..5], &texts, &texts, options).contains("six texts"));
    assert!(refusal(&texts, &texts[..7], &texts, options).contains("8 others"));
    assert!(refusal(&texts, &texts, &[], options).contains("one prompt"));
    assert!(refusal(&texts, &texts, &texts, CavOptions { step: 0.0, ..options }).contains("step above 0"));
    assert!(refusal(&texts, &texts, &texts, CavOptions { sets: 2, ..options }).contains("three sets"));
}
