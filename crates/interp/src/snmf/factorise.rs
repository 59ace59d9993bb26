//! Semi-nonnegative matrix factorisation with sparse features.

use crate::InterpError;
use crate::positive_definite::Factor;
use crate::steer::splitmix64;
use tiller_engine::{Controls, EngineError};

/// Of the diagonal, beside its mean: what a feature that is never active is divided by.
const RIDGE: f64 = 1e-6;
/// Rows that are added to all features at once: each is read once for each feature, and each feature written once for all.
const ROWS: usize = 8;
/// Where iterations change the error by less of itself, and so many of them in a row, the start is done. Cutting features
/// down may raise it for a while.
const ENOUGH: f64 = 1e-7;
const IN_A_ROW: usize = 5;

#[derive(Clone, Copy, Debug)]
pub struct SnmfOptions {
    /// Features.
    pub components: usize,
    /// The share of units that each feature keeps, those of largest weight.
    pub kept: f64,
    pub iterations: usize,
    /// From so many random starts; the one that ends with the least error is kept.
    pub starts: u32,
    pub seed: u32,
}

/// `rows ≈ activity features`, with features that are 0 but at few units and activities that are not below 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    pub width: usize,
    /// By component: units and their weights, ascending.
    pub features: Vec<Vec<(u32, f32)>>,
    /// `[rows, components]`. Each component's has length 1 over all rows: how much there is of it is in its weights.
    pub activity: Vec<f32>,
    /// `|rows - activity features|^2 / |rows|^2`.
    pub unexplained: f64,
    /// Of the start that was kept.
    pub iterations: usize,
}

/// Factorises rows `[n, width]`. `progress` is told the iterations done and in all. Errors when there are fewer rows than
/// components or no components, and when the work was cancelled.
pub async fn factorise(
    rows: &[f32],
    width: usize,
    options: &SnmfOptions,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<Factors, InterpError> {
    let n = rows.len() / width.max(1);
    if options.components == 0 || n < options.components {
        return Err(InterpError::TooLittleText { tokens: n, needed: options.components.max(1) });
    }
    let square: f64 = rows.iter().map(|&x| f64::from(x).powi(2)).sum();
    let total = u64::from(options.starts.max(1)) * options.iterations as u64;
    let mut best: Option<Factors> = None;
    for start in 0..options.starts.max(1) {
        let mut state = State::new(rows, width, options, u64::from(options.seed) << 32 | u64::from(start));
        let before = u64::from(start) * options.iterations as u64;
        let mut error = f64::INFINITY;
        let (mut iterations, mut settled) = (0, 0);
        while iterations < options.iterations {
            controls.pause().await;
            if controls.cancelled() {
                return Err(EngineError::Cancelled.into());
            }
            state.step(rows);
            iterations += 1;
            progress(before + iterations as u64, total);
            let found = state.error(square);
            settled = if (error - found).abs() < ENOUGH * error { settled + 1 } else { 0 };
            error = found;
            if settled == IN_A_ROW {
                break;
            }
        }
        let found = state.factors(if square > 0.0 { error / square } else { 0.0 }, iterations);
        if best.as_ref().is_none_or(|best| found.unexplained < best.unexplained) {
            best = Some(found);
        }
    }
    progress(total, total);
    best.ok_or(InterpError::TooLittleText { tokens: n, needed: 1 })
}

struct State {
    width: usize,
    k: usize,
    kept: usize,
    /// `[k]`: units and weights.
    features: Vec<Vec<(u32, f32)>>,
    /// `[n, k]`
    activity: Vec<f32>,
    /// Of the last step: the rows along the features, summed over activities, and the features' products.
    along: f64,
    written: f64,
}

impl State {
    fn new(rows: &[f32], width: usize, options: &SnmfOptions, seed: u64) -> State {
        let k = options.components;
        let uniform = |i: usize| ((splitmix64(seed, i as u64) >> 40) as f32 + 1.0) / (1u64 << 24) as f32;
        let kept = ((options.kept * width as f64).ceil() as usize).clamp(1, width);
        let activity = (0..rows.len() / width * k).map(uniform).collect();
        State { width, k, kept, features: Vec::new(), activity, along: 0.0, written: 0.0 }
    }

    /// Features by least squares of what is active, cut down to the units of largest weight; then activities by the
    /// multiplicative rule, which keeps their signs and brings the error down (Ding, Li and Jordan 2010, eq. 9).
    fn step(&mut self, rows: &[f32]) {
        self.fit_features(rows);
        self.normalise();
        let k = self.k;
        let products = self.products();
        let (above, below): (Vec<f32>, Vec<f32>) = products.iter().map(|&q| (q.max(0.0), (-q).max(0.0))).unzip();
        let mut along = vec![0.0; k];
        let (mut of_rows, mut of_written) = (0.0f64, 0.0f64);
        for (row, activity) in rows.chunks_exact(self.width).zip(self.activity.chunks_exact_mut(k)) {
            along_features(&self.features, row, &mut along);
            let own = activity.to_vec();
            for i in 0..k {
                let (mut up, mut down) = (along[i].max(0.0), (-along[i]).max(0.0));
                for (j, g) in own.iter().enumerate() {
                    up += g * below[i * k + j];
                    down += g * above[i * k + j];
                }
                activity[i] = own[i] * (up / down.max(f32::MIN_POSITIVE)).min(1e12).sqrt();
            }
            of_rows += activity.iter().zip(&along).map(|(g, p)| f64::from(g * p)).sum::<f64>();
            for (i, &g) in activity.iter().enumerate() {
                let line = &products[i * k..(i + 1) * k];
                let sum: f32 = activity.iter().zip(line).map(|(h, q)| h * q).sum();
                of_written += f64::from(g) * f64::from(sum);
            }
        }
        (self.along, self.written) = (of_rows, of_written);
    }

    /// `|A|^2 - 2 sum G (A F) + sum (G^T G) (F^T F)`.
    fn error(&self, square: f64) -> f64 {
        (square - 2.0 * self.along + self.written).max(0.0)
    }

    /// `(G^T G)^-1 G^T A`, of which each row keeps its largest weights.
    fn fit_features(&mut self, rows: &[f32]) {
        let (k, width) = (self.k, self.width);
        let mut gram = vec![0.0f64; k * k];
        for activity in self.activity.chunks_exact(k) {
            for i in 0..k {
                let g = f64::from(activity[i]);
                gram[i * k..=i * k + i].iter_mut().zip(activity).for_each(|(sum, &h)| *sum += g * f64::from(h));
            }
        }
        let ridge = RIDGE * (0..k).map(|i| gram[i * k + i]).sum::<f64>() / k as f64;
        if !(ridge > 1e-300) {
            // Nothing is active any more, of rows of zeros: what there was of features stays.
            return;
        }
        (0..k).for_each(|i| gram[i * k + i] += ridge);
        let sums = active_sums(rows, &self.activity, width, k);
        let Some(factor) = Factor::of(gram, k) else { return };
        // The inverse, once, rather than a solution for each of many units.
        let unit = |i: usize| (0..k).map(|j| f64::from(u8::from(i == j))).collect::<Vec<f64>>();
        let inverse: Vec<Vec<f64>> = (0..k).map(|i| factor.solve(&unit(i))).collect();
        self.features = inverse
            .iter()
            .map(|line| {
                let mut feature = vec![0.0f32; width];
                for (sums, &weight) in sums.chunks_exact(width).zip(line) {
                    feature.iter_mut().zip(sums).for_each(|(f, s)| *f += weight as f32 * s);
                }
                largest(&feature, self.kept)
            })
            .collect();
    }

    /// Each component's activities to length 1; what they lose, its weights gain.
    fn normalise(&mut self) {
        let k = self.k;
        let mut lengths = vec![0.0f64; k];
        for activity in self.activity.chunks_exact(k) {
            lengths.iter_mut().zip(activity).for_each(|(sum, &g)| *sum += f64::from(g).powi(2));
        }
        let lengths: Vec<f32> = lengths.into_iter().map(|sum| sum.sqrt() as f32).collect();
        for (feature, &length) in self.features.iter_mut().zip(&lengths) {
            feature.iter_mut().for_each(|(_, weight)| *weight *= length);
        }
        for activity in self.activity.chunks_exact_mut(k) {
            activity.iter_mut().zip(&lengths).filter(|(_, length)| **length > 0.0).for_each(|(g, length)| *g /= length);
        }
    }

    /// Of every two features, `[k, k]`.
    fn products(&self) -> Vec<f32> {
        let mut dense = vec![0.0f32; self.width];
        let mut products = Vec::with_capacity(self.k * self.k);
        for feature in &self.features {
            feature.iter().for_each(|&(unit, weight)| dense[unit as usize] = weight);
            let product =
                |other: &Vec<(u32, f32)>| other.iter().map(|&(unit, w)| w * dense[unit as usize]).sum::<f32>();
            products.extend(self.features.iter().map(product));
            feature.iter().for_each(|&(unit, _)| dense[unit as usize] = 0.0);
        }
        products
    }

    fn factors(mut self, unexplained: f64, iterations: usize) -> Factors {
        self.normalise();
        Factors { width: self.width, features: self.features, activity: self.activity, unexplained, iterations }
    }
}

/// `G^T A`, `[k, width]`: the rows, each as much as a component is active there.
fn active_sums(rows: &[f32], activity: &[f32], width: usize, k: usize) -> Vec<f32> {
    let mut sums = vec![0.0f32; k * width];
    for (rows, activity) in rows.chunks(ROWS * width).zip(activity.chunks(ROWS * k)) {
        if rows.len() == ROWS * width {
            let row = |n: usize| &rows[n * width..(n + 1) * width];
            let [a, b, c, d] = [row(0), row(1), row(2), row(3)];
            let [e, f, g, h] = [row(4), row(5), row(6), row(7)];
            for (i, sum) in sums.chunks_exact_mut(width).enumerate() {
                let w: [f32; ROWS] = std::array::from_fn(|n| activity[n * k + i]);
                for j in 0..width {
                    sum[j] += (w[0] * a[j] + w[1] * b[j])
                        + (w[2] * c[j] + w[3] * d[j])
                        + ((w[4] * e[j] + w[5] * f[j]) + (w[6] * g[j] + w[7] * h[j]));
                }
            }
        } else {
            for (row, activity) in rows.chunks_exact(width).zip(activity.chunks_exact(k)) {
                for (sum, &w) in sums.chunks_exact_mut(width).zip(activity) {
                    sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += w * x);
                }
            }
        }
    }
    sums
}

fn along_features(features: &[Vec<(u32, f32)>], row: &[f32], along: &mut [f32]) {
    for (along, feature) in along.iter_mut().zip(features) {
        *along = feature.iter().map(|&(unit, weight)| weight * row[unit as usize]).sum();
    }
}

/// The `count` numbers furthest from 0 (of equal ones the first), by unit.
fn largest(feature: &[f32], count: usize) -> Vec<(u32, f32)> {
    let mut found: Vec<(u32, f32)> = (0..).zip(feature.iter().copied()).collect();
    if found.len() > count {
        found.select_nth_unstable_by(count, |a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
        found.truncate(count);
        found.sort_unstable_by_key(|&(unit, _)| unit);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steer::random_direction;

    const D: usize = 256;
    const N: usize = 2000;
    const K: usize = 20;

    fn uniform(stream: u64, i: usize) -> f64 {
        ((splitmix64(stream, i as u64) >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// Features of 13 of 256 units, a few of which are active in a row, and a little noise.
    fn planted() -> (Vec<Vec<f32>>, Vec<f32>) {
        let feature = |k: usize| {
            let weights = random_direction(k as u64, D);
            let units = crate::shuffle::shuffled(100 + k as u64, D);
            let mut feature = vec![0.0; D];
            units[..13].iter().for_each(|&unit| feature[unit] = weights[unit] * 10.0);
            feature
        };
        let features: Vec<Vec<f32>> = (0..K).map(feature).collect();
        let mut rows = Vec::with_capacity(N * D);
        for row in 0..N {
            let mut x: Vec<f32> = random_direction(1 << 32 | row as u64, D).iter().map(|x| 0.3 * x).collect();
            for (k, feature) in features.iter().enumerate() {
                if uniform(5, row * K + k) < 0.15 {
                    let size = -uniform(6, row * K + k).ln() as f32;
                    x.iter_mut().zip(feature).for_each(|(x, f)| *x += size * f);
                }
            }
            rows.extend(x);
        }
        (features, rows)
    }

    #[test]
    fn planted_features_are_found() {
        let (features, rows) = planted();
        // About half of all starts find every feature: the others end where one is split and another is missed.
        let options = SnmfOptions { components: K, kept: 0.05, iterations: 300, starts: 3, seed: 2 };
        let mut last = 0;
        let found = pollster::block_on(factorise(&rows, D, &options, &(), |done, total| {
            assert!(last <= done && done <= total);
            last = done;
        }))
        .unwrap();
        assert!(found.activity.iter().all(|g| *g >= 0.0));
        assert!(found.features.iter().all(|feature| feature.len() == 13));
        let cosine = |planted: &Vec<f32>, found: &Vec<(u32, f32)>| {
            let norm = |x: &mut dyn Iterator<Item = f32>| x.map(|x| x * x).sum::<f32>().sqrt();
            let product: f32 = found.iter().map(|&(unit, weight)| planted[unit as usize] * weight).sum();
            product / norm(&mut planted.iter().copied()) / norm(&mut found.iter().map(|f| f.1)).max(f32::MIN_POSITIVE)
        };
        let best = |planted: &Vec<f32>| found.features.iter().map(|f| cosine(planted, f)).fold(-1.0, f32::max);
        let cosines: Vec<f32> = features.iter().map(best).collect();
        let mean = cosines.iter().sum::<f32>() / K as f32;
        assert!(cosines.iter().all(|cosine| *cosine > 0.9), "{cosines:?}");
        assert!(mean > 0.99, "{mean}");
        assert!(found.unexplained < 0.05, "{}", found.unexplained);
    }

    #[test]
    fn the_error_is_that_of_what_is_written() {
        let (_, rows) = planted();
        let rows = &rows[..101 * D];
        let options = SnmfOptions { components: 4, kept: 0.05, iterations: 12, starts: 1, seed: 3 };
        let found = pollster::block_on(factorise(rows, D, &options, &(), |_, _| {})).unwrap();
        let (mut left, mut all) = (0.0, 0.0);
        for (row, activity) in rows.chunks_exact(D).zip(found.activity.chunks_exact(4)) {
            let mut x = row.to_vec();
            for (feature, g) in found.features.iter().zip(activity) {
                feature.iter().for_each(|&(unit, weight)| x[unit as usize] -= g * weight);
            }
            left += x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
            all += row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
        }
        assert!((left / all - found.unexplained).abs() < 1e-4, "{} {}", left / all, found.unexplained);
    }

    #[test]
    fn fewer_rows_than_components_are_too_few() {
        let options = SnmfOptions { components: 3, kept: 0.5, iterations: 5, starts: 1, seed: 1 };
        assert!(pollster::block_on(factorise(&[1.0; 8], 4, &options, &(), |_, _| {})).is_err());
        // Rows of zeros leave nothing, and nothing that is not a number.
        let found = pollster::block_on(factorise(&[0.0; 20], 4, &options, &(), |_, _| {})).unwrap();
        assert!(found.activity.iter().chain(found.features.iter().flatten().map(|f| &f.1)).all(|x| x.is_finite()));
    }
}
