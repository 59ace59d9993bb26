//! k-means and silhouettes against scikit-learn's.

use serde::Deserialize;
use tiller_interp::clusters::{k_means, silhouette};

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    points: Vec<Vec<f64>>,
    clusters: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    k: usize,
    inertia: f64,
    assigned: Vec<usize>,
    silhouette: f64,
}

#[test]
fn silhouettes_are_those_of_scikit_learn_and_so_is_the_inertia() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/clusters.json")).unwrap();
    for case in golden.cases {
        for expected in case.clusters {
            let found = silhouette(&case.points, &expected.assigned);
            assert!((found - expected.silhouette).abs() < 1e-8, "{found} {}", expected.silhouette);
            let best = k_means(&case.points, expected.k, 1).unwrap();
            assert_eq!(best.centres.len(), expected.k);
            // Thirty starts may end a little above what two thousand find, and never below the least there is, which is known to
            // nine digits.
            let ratio = best.inertia / expected.inertia;
            assert!((1.0 - 1e-8..1.03).contains(&ratio), "{} clusters: {ratio}", expected.k);
        }
    }
}
