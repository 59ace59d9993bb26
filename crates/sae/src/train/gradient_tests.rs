//! Gradients against differences of a loss that is written down again, plainly, in double precision.

use super::feature::Feature;
use super::random::Random;
use super::{Auxiliary, Method, TrainOptions, Trainer};

const WIDTH: usize = 9;
const FEATURES: usize = 14;
const ROWS: usize = 6;

/// All weights in double precision, one after the other: encoders, decoders, encoder biases, decoder bias.
fn weights(trainer: &Trainer) -> Vec<f64> {
    let features = || trainer.features.iter();
    let encoders = features().flat_map(|feature| feature.encoder.values.clone());
    let decoders = features().flat_map(|feature| feature.decoder.values.clone());
    let all = encoders.chain(decoders).chain(features().map(Feature::bias)).chain(trainer.bias.values.clone());
    all.map(f64::from).collect()
}

struct Plain<'a> {
    weights: &'a [f64],
    thresholds: Vec<f64>,
}

impl Plain<'_> {
    fn encoder(&self, i: usize) -> &[f64] {
        &self.weights[i * WIDTH..][..WIDTH]
    }

    fn decoder(&self, i: usize) -> &[f64] {
        &self.weights[(FEATURES + i) * WIDTH..][..WIDTH]
    }

    fn hidden(&self, x: &[f64], i: usize) -> f64 {
        let (bias, b_dec) = self.weights[2 * FEATURES * WIDTH..].split_at(FEATURES);
        (0..WIDTH).map(|d| (x[d] - b_dec[d]) * self.encoder(i)[d]).sum::<f64>() + bias[i]
    }

    fn written(&self, features: &[(usize, f64)], d: usize) -> f64 {
        features.iter().map(|&(i, f)| f * self.decoder(i)[d]).sum()
    }

    /// The features of every row.
    fn features(&self, method: Method, rows: &[Vec<f64>]) -> Vec<Vec<(usize, f64)>> {
        let sorted = |mut features: Vec<(usize, usize, f64)>, kept: usize| {
            features.sort_by(|a, b| b.2.total_cmp(&a.2));
            features.truncate(kept);
            features
        };
        let hidden = |r: usize| (0..FEATURES).map(move |i| (r, i, self.hidden(&rows[r], i))).collect::<Vec<_>>();
        let positive = |r| hidden(r).into_iter().filter(|&(_, _, h)| h > 0.0).collect::<Vec<_>>();
        let kept: Vec<(usize, usize, f64)> = match method {
            Method::TopK { k } => (0..rows.len()).flat_map(|r| sorted(positive(r), k)).collect(),
            Method::BatchTopK { k } => sorted((0..rows.len()).flat_map(positive).collect(), k * rows.len()),
            Method::Standard { .. } => (0..rows.len()).flat_map(positive).collect(),
            Method::JumpRelu { .. } => {
                let above = |&(_, i, h): &(usize, usize, f64)| h > self.thresholds[i];
                (0..rows.len()).flat_map(|r| hidden(r).into_iter().filter(above).collect::<Vec<_>>()).collect()
            }
            Method::MatchingPursuit { k } => {
                let pursued = |r: usize| {
                    let mut features = Vec::new();
                    for _ in 0..k {
                        let rest = self.rest(&rows[r], &features);
                        let along = |i: usize| (0..WIDTH).map(|d| rest[d] * self.decoder(i)[d]).sum::<f64>();
                        let best = (0..FEATURES).map(|i| (i, along(i))).max_by(|a, b| a.1.total_cmp(&b.1));
                        features.extend(best.filter(|(_, value)| *value > 0.0));
                    }
                    features.into_iter().map(move |(i, value)| (r, i, value)).collect::<Vec<_>>()
                };
                (0..rows.len()).flat_map(pursued).collect()
            }
        };
        let of = |r| kept.iter().filter(|kept| kept.0 == r).map(|&(_, i, h)| (i, h)).collect();
        (0..rows.len()).map(of).collect()
    }

    fn rest(&self, x: &[f64], features: &[(usize, f64)]) -> Vec<f64> {
        let b_dec = &self.weights[2 * FEATURES * WIDTH + FEATURES..];
        (0..WIDTH).map(|d| x[d] - b_dec[d] - self.written(features, d)).collect()
    }

    /// `rests`: what dead features (`dead`) are to reconstruct, which is held constant.
    fn loss(&self, options: &TrainOptions, rows: &[Vec<f64>], dead: &[usize], rests: &[Vec<f64>]) -> f64 {
        let mut loss = 0.0;
        for ((x, features), target) in rows.iter().zip(self.features(options.method, rows)).zip(rests) {
            loss += self.rest(x, &features).iter().map(|e| e * e).sum::<f64>();
            if let Method::Standard { sparsity } = options.method {
                loss += f64::from(sparsity) * features.iter().map(|(_, f)| f).sum::<f64>();
            }
            let Some(auxiliary) = options.auxiliary else { continue };
            let is_tied = matches!(options.method, Method::MatchingPursuit { .. });
            let along = |i: usize| (0..WIDTH).map(|d| target[d] * self.decoder(i)[d]).sum::<f64>();
            let hidden = |i: usize| if is_tied { along(i) } else { self.hidden(x, i) };
            let mut silent: Vec<(usize, f64)> = dead.iter().map(|&i| (i, hidden(i))).collect();
            silent.retain(|(i, h)| *h > 0.0 && !(is_tied && features.iter().any(|(chosen, _)| chosen == i)));
            silent.sort_by(|a, b| b.1.total_cmp(&a.1));
            silent.truncate(auxiliary.k);
            if !silent.is_empty() {
                let squared = |d: usize| (target[d] - self.written(&silent, d)).powi(2);
                loss += f64::from(auxiliary.weight) * (0..WIDTH).map(squared).sum::<f64>();
            }
        }
        loss / rows.len() as f64
    }
}

/// A trainer whose weights are anywhere, some of its features dead, and a batch.
fn trainer(method: Method, auxiliary: Option<Auxiliary>) -> (Trainer, Vec<f32>) {
    let mut random = Random::new(11);
    let mut options = TrainOptions::new(method, FEATURES, ROWS, 10);
    // No warm-up: the penalty counts in full.
    (options.auxiliary, options.warm_up, options.dead_after) = (auxiliary, 1, 100);
    let mut numbers = |n: usize| (0..n).map(|_| random.gaussian()).collect::<Vec<f32>>();
    let rows = numbers(ROWS * WIDTH);
    let mut trainer = Trainer::new(WIDTH, &options, &rows).unwrap();
    for feature in &mut trainer.features {
        // Of matching pursuit they are the decoder's.
        if !matches!(method, Method::MatchingPursuit { .. }) {
            feature.encoder.values = numbers(WIDTH);
        }
        feature.scalars.values = vec![0.3 * numbers(1)[0], (0.4f32).ln()];
    }
    trainer.features.iter_mut().take(5).for_each(|feature| feature.silent_for = 100);
    trainer.bias.values = numbers(WIDTH);
    (trainer, rows)
}

fn gradients_are_those_of_the_loss(method: Method, auxiliary: Option<Auxiliary>) {
    let (trainer, batch) = trainer(method, auxiliary);
    let rows: Vec<Vec<f64>> =
        batch.chunks_exact(WIDTH).map(|row| row.iter().map(|&x| f64::from(x)).collect()).collect();
    let dead: Vec<usize> = (0..5).collect();
    let thresholds: Vec<f64> = trainer.features.iter().map(|feature| f64::from(feature.threshold())).collect();
    let plain = |weights: &[f64], rests: &[Vec<f64>]| {
        let plain = Plain { weights, thresholds: thresholds.clone() };
        plain.loss(&trainer.options, &rows, &dead, rests)
    };
    let mut moved = weights(&trainer);
    let start = Plain { weights: &moved.clone(), thresholds: thresholds.clone() };
    let features = start.features(method, &rows);
    let rests: Vec<Vec<f64>> = rows.iter().zip(&features).map(|(x, features)| start.rest(x, features)).collect();

    let found = trainer.gradients(&batch);
    let of: Vec<_> = (0..FEATURES).map(|i| trainer.features[i].gradients(found.of(i), &found.batch())).collect();
    let encoders = of.iter().flat_map(|(encoder, _, _)| encoder.clone());
    let decoders = of.iter().flat_map(|(_, decoder, _)| decoder.clone());
    let found: Vec<f32> =
        encoders.chain(decoders).chain(of.iter().map(|(_, _, s)| s[0])).chain(found.bias.clone()).collect();
    assert_eq!(found.len(), moved.len());
    assert!(found.iter().filter(|g| g.abs() > 0.01).count() > found.len() / 4, "there is something to compare");
    for (i, &found) in found.iter().enumerate() {
        const STEP: f64 = 1e-6;
        let at = moved[i];
        let mut loss = |x: f64| {
            moved[i] = x;
            plain(&moved, &rests)
        };
        let exact = (loss(at + STEP) - loss(at - STEP)) / (2.0 * STEP);
        moved[i] = at;
        assert!((f64::from(found) - exact).abs() < 1e-4 * exact.abs().max(0.1), "weight {i}: {found} for {exact}");
    }
}

#[test]
fn gradients_of_topk_are_those_of_its_loss() {
    gradients_are_those_of_the_loss(Method::TopK { k: 3 }, None);
}

#[test]
fn gradients_of_the_auxiliary_loss_leave_the_rest_as_it_is() {
    gradients_are_those_of_the_loss(Method::TopK { k: 2 }, Some(Auxiliary { k: 3, weight: 0.5 }));
}

#[test]
fn gradients_of_batch_topk_are_those_of_its_loss() {
    gradients_are_those_of_the_loss(Method::BatchTopK { k: 3 }, None);
}

#[test]
fn gradients_of_the_penalty_are_those_of_its_loss() {
    gradients_are_those_of_the_loss(Method::Standard { sparsity: 0.7 }, None);
}

#[test]
fn gradients_of_jumprelu_weights_are_those_of_its_loss() {
    gradients_are_those_of_the_loss(Method::JumpRelu { sparsity: 0.7, bandwidth: 0.5 }, None);
}

#[test]
fn gradients_of_matching_pursuit_are_those_of_its_loss() {
    gradients_are_those_of_the_loss(Method::MatchingPursuit { k: 4 }, None);
}

#[test]
fn dead_features_of_matching_pursuit_learn_what_is_left() {
    gradients_are_those_of_the_loss(Method::MatchingPursuit { k: 3 }, Some(Auxiliary { k: 3, weight: 0.5 }));
}

/// The threshold's gradient is a pseudo-derivative: over many activations it is that of the mean loss.
#[test]
fn the_gradient_of_a_threshold_is_that_of_the_loss_over_many_activations() {
    let (sparsity, bandwidth, threshold) = (0.8, 0.05, 0.6f64);
    let mut random = Random::new(2);
    let rows: Vec<f32> = (0..2 * 200_000).map(|_| random.gaussian()).collect();
    let options = TrainOptions { warm_up: 1, ..TrainOptions::new(Method::JumpRelu { sparsity, bandwidth }, 1, 1, 10) };
    let mut trainer = Trainer::new(2, &options, &rows).unwrap();
    trainer.bias.values = vec![0.0; 2];
    // It reads 0.8 x and writes along (0.6, 0.8).
    trainer.features = vec![Feature::new(vec![0.8, 0.0], vec![0.6, 0.8], threshold as f32)];
    let found = trainer.gradients(&rows);
    let found = trainer.features[0].gradients(found.of(0), &found.batch()).2[1];
    let loss = |ln_threshold: f64| {
        let threshold = ln_threshold.exp();
        let of_row = |x: &[f32]| {
            let (x, y) = (f64::from(x[0]), f64::from(x[1]));
            let f = if 0.8 * x > threshold { 0.8 * x } else { 0.0 };
            (x - 0.6 * f).powi(2) + (y - 0.8 * f).powi(2) + if f > 0.0 { f64::from(sparsity) } else { 0.0 }
        };
        rows.chunks_exact(2).map(of_row).sum::<f64>() / (rows.len() / 2) as f64
    };
    let step = 0.04;
    let exact = (loss(threshold.ln() + step) - loss(threshold.ln() - step)) / (2.0 * step);
    assert!((f64::from(found) - exact).abs() < 0.05 * exact.abs(), "{found} for {exact}");
}
