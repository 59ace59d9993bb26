//! Running a model for a test: reading sites, writing lanes, and how far two vectors are apart.

use crate::golden::{Excerpt, Indices};
use tiller_engine::{Edit, Generation, Harvest, Lane, Sampling, Site, TapRows};
use tiller_experiment::Session;

/// Relative L2 distance.
pub fn distance(found: &[f32], expected: &[f32]) -> f64 {
    let square = |v: f64| v * v;
    let off: f64 = found.iter().zip(expected).map(|(a, b)| square(f64::from(a - b))).sum();
    let size: f64 = expected.iter().map(|b| square(f64::from(*b))).sum();
    (off / size).sqrt()
}

/// How far a vector is from what is known of it: the larger of its length's and its elements' relative distances.
pub fn distance_from_excerpt(found: &[f32], expected: &Excerpt, indices: &Indices) -> f64 {
    let strided = if found.len() > 10_000 { &indices.logits_strided } else { &indices.strided };
    let norm = found.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let picked: Vec<f32> = indices.first.iter().chain(strided).map(|&i| found[i]).collect();
    let expected_elements: Vec<f32> = expected.first.iter().chain(&expected.strided).copied().collect();
    (norm / expected.norm - 1.0).abs().max(distance(&picked, &expected_elements))
}

/// Every reading of one prompt at `sites`: `[site][token]`.
pub fn read(session: &mut Session, tokens: &[u32], sites: &[Site], edits: &[Edit]) -> Vec<Vec<Vec<f32>>> {
    let what = Harvest { prompts: &[tokens.to_vec()], sites, rows: TapRows::All, edits };
    let mut readings = vec![vec![Vec::new(); tokens.len()]; sites.len()];
    let sink = |reading: tiller_engine::Reading<'_>| {
        let site = sites.iter().position(|&site| site == reading.site).expect("a site that was asked for");
        readings[site][reading.position as usize] = reading.values.to_vec();
    };
    pollster::block_on(session.engine.harvest(&what, &(), |_, _| {}, sink)).expect("the harvest runs");
    readings
}

/// A lane for each prompt, written greedily.
pub fn generation(prompts: &[&[u32]], max_tokens: u32) -> Generation {
    Generation {
        lanes: prompts.iter().map(|prompt| Lane { prompt: prompt.to_vec(), edits: Vec::new() }).collect(),
        edits: Vec::new(),
        sampling: Sampling::GREEDY,
        max_tokens,
        end_tokens: Vec::new(),
        alternatives: false,
        features: None,
    }
}

/// The tokens of each lane.
pub fn write(session: &mut Session, what: &Generation) -> Vec<Vec<u32>> {
    let (results, _) = pollster::block_on(session.engine.generate(what, &(), || 0.0, |_| {})).expect("it writes");
    results.into_iter().map(|result| result.tokens).collect()
}
