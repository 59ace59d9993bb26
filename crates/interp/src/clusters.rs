//! Points in clusters: k-means, and how well separate its clusters are.

use crate::products::dot;
use crate::steer::splitmix64;

/// Starts of which the best is kept.
const STARTS: u64 = 30;
const ITERATIONS: usize = 100;

/// Points in `k` clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// By point.
    pub assigned: Vec<usize>,
    /// `[k, width]`
    pub centres: Vec<Vec<f64>>,
    /// Sum of squared distances from each point to its centre.
    pub inertia: f64,
}

/// Lloyd's k-means from thirty starts of k-means++ (Arthur and Vassilvitskii 2007), of which the one of least inertia is kept.
/// `None` for no points, no clusters, or fewer points than clusters. The same seed gives the same clusters.
pub fn k_means(points: &[Vec<f64>], k: usize, seed: u64) -> Option<Clusters> {
    if k == 0 || points.len() < k {
        return None;
    }
    let starts = (0..STARTS).map(|start| from(points, begin(points, k, seed << 8 | start)));
    starts.min_by(|a, b| a.inertia.total_cmp(&b.inertia))
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

/// Centres among the points, each drawn with a probability that grows with the squared distance from those before; the best
/// of a few draws is taken (as scikit-learn does).
fn begin(points: &[Vec<f64>], k: usize, seed: u64) -> Vec<Vec<f64>> {
    let uniform = |i: usize| (splitmix64(seed, i as u64) >> 11) as f64 / (1u64 << 53) as f64;
    let draws = 2 + (k as f64).ln() as usize;
    let first = (uniform(0) * points.len() as f64) as usize;
    let mut centres = vec![points[first].clone()];
    let mut near: Vec<f64> = points.iter().map(|point| distance(point, &centres[0])).collect();
    for i in 1..k {
        let sum: f64 = near.iter().sum();
        let draw = |n: usize| {
            let mut left = uniform(i * draws + n) * sum;
            let reached = |d: &f64| {
                left -= d;
                left < 0.0
            };
            let drawn = near.iter().position(reached).unwrap_or(points.len() - 1);
            let nearer = near.iter().zip(points).map(|(near, point)| near.min(distance(point, &points[drawn])));
            (drawn, nearer.collect::<Vec<f64>>())
        };
        let total = |found: &(usize, Vec<f64>)| found.1.iter().sum::<f64>();
        let best = (0..draws).map(draw).min_by(|a, b| total(a).total_cmp(&total(b)));
        let Some((drawn, nearer)) = best else { break };
        centres.push(points[drawn].clone());
        near = nearer;
    }
    centres
}

fn from(points: &[Vec<f64>], mut centres: Vec<Vec<f64>>) -> Clusters {
    let mut assigned = vec![usize::MAX; points.len()];
    for _ in 0..ITERATIONS {
        let nearest = |point: &Vec<f64>| {
            let by_distance =
                |a: &usize, b: &usize| distance(point, &centres[*a]).total_cmp(&distance(point, &centres[*b]));
            (0..centres.len()).min_by(by_distance).unwrap_or(0)
        };
        let next: Vec<usize> = points.iter().map(nearest).collect();
        if next == assigned {
            break;
        }
        assigned = next;
        for (n, centre) in centres.iter_mut().enumerate() {
            let own: Vec<&Vec<f64>> = points.iter().zip(&assigned).filter(|(_, c)| **c == n).map(|(p, _)| p).collect();
            // A centre that nothing is nearest to stays where it is.
            if !own.is_empty() {
                centre.fill(0.0);
                own.iter().for_each(|p| centre.iter_mut().zip(*p).for_each(|(c, x)| *c += x / own.len() as f64));
            }
        }
    }
    let inertia = points.iter().zip(&assigned).map(|(point, &n)| distance(point, &centres[n])).sum();
    Clusters { assigned, centres, inertia }
}

/// The silhouette of points in clusters (Rousseeuw 1987), mean over points: `(b - a) / max(a, b)` with a point's mean
/// distance a to the others of its own cluster and b to those of the nearest other one; 0 for a point alone in its own.
/// 0 where there are fewer than two clusters.
pub fn silhouette(points: &[Vec<f64>], assigned: &[usize]) -> f64 {
    let k = assigned.iter().max().map_or(0, |most| most + 1);
    let mut sizes = vec![0usize; k];
    assigned.iter().for_each(|&n| sizes[n] += 1);
    if sizes.iter().filter(|size| **size > 0).count() < 2 {
        return 0.0;
    }
    let of_point = |(i, point): (usize, &Vec<f64>)| {
        let mut sums = vec![0.0; k];
        points.iter().zip(assigned).for_each(|(other, &n)| sums[n] += distance(point, other).sqrt());
        let own = assigned[i];
        if sizes[own] == 1 {
            return 0.0;
        }
        let inside = sums[own] / (sizes[own] - 1) as f64;
        let others = (0..k).filter(|&n| n != own && sizes[n] > 0).map(|n| sums[n] / sizes[n] as f64);
        let outside = others.fold(f64::INFINITY, f64::min);
        let larger = inside.max(outside);
        if larger > 0.0 { (outside - inside) / larger } else { 0.0 }
    };
    points.iter().enumerate().map(of_point).sum::<f64>() / points.len() as f64
}

/// Mean cosine of all pairs, of points none of which is 0; 1 where there is no pair.
pub(crate) fn mean_cosine(points: &[&[f64]]) -> f64 {
    let n = points.len() as f64;
    let mut sum = vec![0.0; points.first().map_or(0, |p| p.len())];
    for point in points {
        let length = dot(point, point).sqrt().max(f64::MIN_POSITIVE);
        sum.iter_mut().zip(*point).for_each(|(s, x)| *s += x / length);
    }
    // |sum of unit vectors|^2 = n + 2 sum of the pairs' cosines.
    if n > 1.0 { (dot(&sum, &sum) - n) / (n * (n - 1.0)) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_of_pairs_are_averaged() {
        let points: [&[f64]; 3] = [&[2.0, 0.0], &[0.0, 5.0], &[1.0, 0.0]];
        assert!((mean_cosine(&points) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(mean_cosine(&points[..1]), 1.0);
    }

    #[test]
    fn what_cannot_be_clustered_is_not() {
        assert_eq!(k_means(&[], 1, 1), None);
        assert_eq!(k_means(&[vec![1.0]], 2, 1), None);
        let same = vec![vec![1.0, 2.0]; 5];
        assert_eq!(k_means(&same, 2, 1).unwrap().inertia, 0.0);
        assert_eq!(silhouette(&same, &[0; 5]), 0.0);
        assert_eq!(silhouette(&same, &[0, 1, 1, 1, 1]), 0.0);
    }
}
