//! Directions of contrasting pairs against scikit-learn, used as repeng uses it, and numpy.
//!
//! Both find a component in f64 from the same f32 numbers, to about 1e-12, and a probe to where its iterations end; the
//! file holds nine digits.

use serde::Deserialize;
use std::collections::BTreeMap;
use tiller_interp::steer::{Contrast, Made, VectorMethod};

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    width: usize,
    positive: Vec<f32>,
    negative: Vec<f32>,
    /// By the method's name, and "svd": the first right singular vector of the differences.
    #[serde(flatten)]
    made: BTreeMap<String, Reference>,
}

#[derive(Deserialize)]
struct Reference {
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
        for method in VectorMethod::ALL {
            let expected = &case.made[method.name()];
            let found = Made::of(method, &contrast).expect("the pairs differ");
            // Where as many pairs vote for either sign, the reference keeps the one that its decomposition came out with.
            let tied = expected.votes.is_some_and(|[fewer, more]| fewer == more);
            let dot: f64 = found.vector.iter().zip(&expected.direction).map(|(a, b)| a * b).sum();
            let sign = if tied { dot.signum() } else { 1.0 };
            // An iteration ends sooner than a decomposition.
            let tolerance = if method == VectorMethod::Logistic { 1e-6 } else { 1e-7 };
            for (found, expected) in found.vector.iter().zip(&expected.direction) {
                assert!((found * sign - expected).abs() < tolerance, "case {n}, {}: {found} {expected}", method.name());
            }
            assert_eq!(found.explained.is_some(), expected.explained.is_some());
            let off = found.explained.unwrap_or(0.0) - expected.explained.unwrap_or(0.0);
            assert!(off.abs() < 1e-7, "case {n}, {}: {:?} {:?}", method.name(), found.explained, expected.explained);
        }
        // With the middles taken off, no mean is left to subtract.
        let center = Made::of(VectorMethod::PcaCenter, &contrast).expect("the pairs differ").vector;
        assert!(center.iter().zip(&case.made["svd"].direction).all(|(a, b)| (a - b).abs() < 1e-7), "case {n}");
    }
}
