//! What a feature is active on, in groups: one, where it stands for one thing, or a few.

use super::principal_subspace::principal_subspace;
use crate::InterpError;
use crate::clusters::{Clusters, k_means, mean_cosine, silhouette};
use crate::shuffle::shuffled;
use serde::Serialize;
use tiller_engine::Controls;

/// Principal components in which contexts are compared: what is beyond them is mostly noise, of so few contexts.
const COMPONENTS: usize = 8;
/// Facets, at most.
const MOST: usize = 6;
/// Deals of each component's coordinates among the contexts, which leaves no groups: what they show is chance.
const SHUFFLES: u64 = 10;

/// Facets of a feature, or of any unit (after Nguyen et al. 2016, "Multifaceted Feature Visualization"): its contexts in
/// principal components, by k-means, as many as the silhouette is best for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Facets {
    /// How many; 1 where no number of groups stands out from what shuffled coordinates show.
    pub count: usize,
    /// The facet of each context; the largest facet is 0.
    pub facet: Vec<usize>,
    /// By facet: the contexts nearest to its mean, nearest first.
    pub exemplars: Vec<Vec<usize>>,
    /// The best silhouette of two to six groups.
    pub silhouette: f64,
    /// The best for each shuffle.
    pub shuffled: Vec<f64>,
    /// 1 less the mean cosine of pairs of contexts over that of pairs within a facet: 0 for one facet, near 1 for facets that
    /// have nothing in common.
    pub polysemanticity: f64,
}

/// Groups contexts `[n, width]`: what surrounds each of a feature's strongest activations, such as the residual stream
/// there. `origin`, `[width]`, is taken off before cosines are: the mean over all tokens. Errors when the work was cancelled.
pub async fn facets(
    contexts: &[f32],
    origin: &[f32],
    exemplars: usize,
    controls: &impl Controls,
) -> Result<Facets, InterpError> {
    let width = origin.len();
    let (mean, directions) = principal_subspace(contexts, width, COMPONENTS, controls).await?;
    let place = |row: &[f32]| -> Vec<f64> {
        let along = |d: &Vec<f64>| d.iter().zip(row).zip(&mean).map(|((d, &x), mean)| d * (f64::from(x) - mean)).sum();
        directions.iter().map(along).collect()
    };
    let points: Vec<Vec<f64>> = contexts.chunks_exact(width).map(place).collect();
    let (best, score) = grouped(&points);
    let mut by_chance = Vec::new();
    for seed in 0..SHUFFLES {
        controls.pause().await;
        let columns: Vec<Vec<usize>> =
            (0..directions.len() as u64).map(|column| shuffled(seed << 8 | column, points.len())).collect();
        let dealt = |row: usize| columns.iter().enumerate().map(|(column, order)| points[order[row]][column]).collect();
        by_chance.push(grouped(&(0..points.len()).map(dealt).collect::<Vec<_>>()).1);
    }
    let stands_out = by_chance.iter().all(|chance| score > *chance);
    let one = Clusters { assigned: vec![0; points.len()], centres: vec![vec![0.0; directions.len()]], inertia: 0.0 };
    let found = best.filter(|_| stands_out).unwrap_or(one);

    let k = found.centres.len();
    let size = |n: usize| found.assigned.iter().filter(|&&assigned| assigned == n).count();
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by_key(|&n| std::cmp::Reverse(size(n)));
    let facet: Vec<usize> =
        found.assigned.iter().map(|&n| order.iter().position(|&other| other == n).unwrap_or(0)).collect();
    let nearest = |n: &usize| {
        let distance = |i: usize| points[i].iter().zip(&found.centres[*n]).map(|(x, c)| (x - c).powi(2)).sum::<f64>();
        let mut own: Vec<usize> = (0..points.len()).filter(|&i| found.assigned[i] == *n).collect();
        own.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)));
        own.truncate(exemplars);
        own
    };
    Ok(Facets {
        count: k,
        exemplars: order.iter().map(nearest).collect(),
        silhouette: score,
        shuffled: by_chance,
        polysemanticity: polysemanticity(contexts, origin, &facet, k),
        facet,
    })
}

/// Two to six groups, as the silhouette is best, and that.
fn grouped(points: &[Vec<f64>]) -> (Option<Clusters>, f64) {
    let groups = (2..=MOST).filter_map(|k| k_means(points, k, k as u64));
    let scored = groups.map(|found| (silhouette(points, &found.assigned), found));
    match scored.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((score, found)) => (Some(found), score),
        None => (None, 0.0),
    }
}

fn polysemanticity(contexts: &[f32], origin: &[f32], facet: &[usize], k: usize) -> f64 {
    let off = |row: &[f32]| row.iter().zip(origin).map(|(&x, &o)| f64::from(x) - f64::from(o)).collect::<Vec<f64>>();
    let rows: Vec<Vec<f64>> = contexts.chunks_exact(origin.len()).map(off).collect();
    let all: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
    let within = |n: usize| {
        let own: Vec<&[f64]> = all.iter().zip(facet).filter(|(_, f)| **f == n).map(|(row, _)| *row).collect();
        (mean_cosine(&own), own.len() as f64)
    };
    let (mut sum, mut count) = (0.0, 0.0);
    for (cosine, contexts) in (0..k).map(within) {
        sum += cosine * contexts;
        count += contexts;
    }
    let within = sum / f64::max(count, 1.0);
    if within > 0.0 { (1.0 - mean_cosine(&all) / within).clamp(0.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steer::random_direction;

    const WIDTH: usize = 64;

    /// Contexts of a unit that is active where any of `concepts` is, with noise as long as the concepts.
    fn contexts(concepts: u64, each: u64, noise: f32) -> (Vec<f32>, Vec<usize>) {
        let (mut rows, mut truth) = (Vec::new(), Vec::new());
        for n in 0..concepts * each {
            let concept = n % concepts;
            let (concept_at, noise_at) = (random_direction(concept, WIDTH), random_direction(1000 + n, WIDTH));
            rows.extend(concept_at.iter().zip(noise_at).map(|(c, r)| 3.0 * c + 3.0 * noise * r));
            truth.push(concept as usize);
        }
        (rows, truth)
    }

    /// The adjusted Rand index (Hubert and Arabie 1985).
    fn adjusted_rand(a: &[usize], b: &[usize]) -> f64 {
        let pairs = |n: usize| (n * n.saturating_sub(1) / 2) as f64;
        let size = |x: &[usize], n: usize| pairs(x.iter().filter(|&&y| y == n).count());
        let most = |x: &[usize]| x.iter().max().unwrap() + 1;
        let both = |n: usize, m: usize| pairs(a.iter().zip(b).filter(|(x, y)| **x == n && **y == m).count());
        let index: f64 = (0..most(a)).flat_map(|n| (0..most(b)).map(move |m| (n, m))).map(|(n, m)| both(n, m)).sum();
        let (of_a, of_b): (f64, f64) = ((0..most(a)).map(|n| size(a, n)).sum(), (0..most(b)).map(|n| size(b, n)).sum());
        let expected = of_a * of_b / pairs(a.len());
        (index - expected) / ((of_a + of_b) / 2.0 - expected)
    }

    #[test]
    fn a_unit_of_three_concepts_has_three_facets() {
        let (rows, truth) = contexts(3, 20, 0.8);
        let found = pollster::block_on(facets(&rows, &[0.0; WIDTH], 4, &())).unwrap();
        assert_eq!(found.count, 3, "{found:?}");
        assert!(adjusted_rand(&found.facet, &truth) >= 0.9);
        assert!(found.exemplars.iter().all(|facet| facet.len() == 4));
        let same = |facet: &Vec<usize>| facet.iter().all(|&n| truth[n] == truth[facet[0]]);
        assert!(found.exemplars.iter().all(same));
        assert!(found.polysemanticity > 0.5, "{}", found.polysemanticity);
    }

    #[test]
    fn a_unit_of_one_concept_has_one() {
        let (rows, _) = contexts(1, 60, 0.8);
        let found = pollster::block_on(facets(&rows, &[0.0; WIDTH], 4, &())).unwrap();
        assert_eq!((found.count, found.polysemanticity), (1, 0.0), "{found:?}");
        assert_eq!(found.facet, [0; 60]);
    }

    #[test]
    fn too_few_contexts_are_one_facet() {
        let found = pollster::block_on(facets(&[1.0, 2.0], &[0.0, 0.0], 4, &())).unwrap();
        assert_eq!((found.count, found.facet.len()), (1, 1));
        assert_eq!(pollster::block_on(facets(&[], &[0.0, 0.0], 4, &())).unwrap().facet.len(), 0);
    }
}
