//! Directions of contrasting pairs against scikit-learn, used as repeng uses it.
//!
//! Both find the component in f64 from the same f32 numbers, to about 1e-12; the file holds nine digits.

use serde::Deserialize;
use tiller_interp::steer::{Contrast, Method};

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Case {
    width: usize,
    positive: Vec<f32>,
    negative: Vec<f32>,
    pca_diff: Made,
    pca_center: Made,
    mean_diff: Made,
}

#[derive(Deserialize)]
struct Made {
    direction: Vec<f64>,
    explained: Option<f64>,
    votes: Option<[u32; 2]>,
}

#[test]
fn directions_are_the_references() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/directions.json")).unwrap();
    assert_eq!(golden.cases.len(), 4);
    for (n, case) in golden.cases.iter().enumerate() {
        let contrast = Contrast::new(0, case.width, case.positive.clone(), case.negative.clone());
        for method in Method::ALL {
            let expected = match method {
                Method::MeanDifference => &case.mean_diff,
                Method::PcaDifference => &case.pca_diff,
                Method::PcaCenter => &case.pca_center,
            };
            let found = method.direction(&contrast.differences()).expect("the pairs differ");
            // Where as many pairs vote for either sign, the reference keeps the one that its decomposition came out with.
            let tied = expected.votes.is_some_and(|[fewer, more]| fewer == more);
            let dot: f64 = found.vector.iter().zip(&expected.direction).map(|(a, b)| a * b).sum();
            let sign = if tied { dot.signum() } else { 1.0 };
            for (found, expected) in found.vector.iter().zip(&expected.direction) {
                assert!((found * sign - expected).abs() < 1e-7, "case {n}, {}: {found} {expected}", method.name());
            }
            assert_eq!(found.explained.is_some(), expected.explained.is_some());
            let off = found.explained.unwrap_or(0.0) - expected.explained.unwrap_or(0.0);
            assert!(off.abs() < 1e-7, "case {n}, {}: {:?} {:?}", method.name(), found.explained, expected.explained);
        }
    }
}
