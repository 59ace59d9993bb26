//! A probe with one hidden layer: what can be read, if not by a straight cut.

use super::examples::Activations;
use super::features::Features;
use super::softmax::to_probabilities;
use crate::positive_definite::{add_multiple, dot};
use crate::steer::splitmix64;

/// Adam's (Kingma and Ba 2015).
const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// How it is fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MlpOptions {
    /// Hidden units.
    pub hidden: usize,
    /// Steps of Adam, each over all texts.
    pub steps: usize,
    pub learning_rate: f64,
    /// Of all weights' squared length over 2, beside the mean loss of the texts.
    pub penalty: f64,
    /// Of the weights at the beginning.
    pub seed: u64,
}

impl Default for MlpOptions {
    fn default() -> MlpOptions {
        MlpOptions { hidden: 16, steps: 150, learning_rate: 0.01, penalty: 0.01, seed: 1 }
    }
}

impl MlpOptions {
    pub(super) fn are_valid(self) -> bool {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let sized = (1..=1024).contains(&self.hidden) && self.steps > 0;
        sized && positive(self.learning_rate) && self.penalty >= 0.0 && self.penalty.is_finite()
    }
}

/// `softmax(W2 relu(W1 x + b1) + b2)` of an activation x.
#[derive(Clone, Debug, PartialEq)]
pub struct MlpProbe {
    /// On raw activations, by hidden unit, `[width]` each.
    pub hidden: Vec<Vec<f64>>,
    pub hidden_biases: Vec<f64>,
    /// By class, `[hidden]` each.
    pub weights: Vec<Vec<f64>>,
    pub biases: Vec<f64>,
}

impl MlpProbe {
    /// Fitted to the texts named, whose classes `labels` are, below `classes`: the mean of `-ln p(y)` and the penalty, by
    /// Adam over all texts at once, on standardised activations in as many coordinates as the texts span. Weights begin
    /// uniformly within `sqrt(6 / inputs)` (He et al. 2015) and `sqrt(3 / hidden)`, biases at 0. `None` where the texts
    /// read alike, or have fewer than two of the classes.
    pub fn fit(
        activations: &Activations,
        texts: &[usize],
        labels: &[usize],
        classes: usize,
        options: &MlpOptions,
    ) -> Option<MlpProbe> {
        let features = Features::of(activations, texts, true);
        if features.rank == 0 || labels.iter().all(|label| label == &labels[0]) {
            return None;
        }
        let (rank, hidden) = (features.rank, options.hidden);
        let mut net = Net::new(rank, hidden, classes, options.seed);
        let mut means = vec![0.0; net.values.len()];
        let mut squares = means.clone();
        for step in 1..=options.steps {
            let gradient = net.gradient(&features, labels, options.penalty);
            let exponent = step.min(i32::MAX as usize) as i32;
            let (rest_1, rest_2) = (1.0 - BETA_1.powi(exponent), 1.0 - BETA_2.powi(exponent));
            for (n, gradient) in gradient.into_iter().enumerate() {
                means[n] = BETA_1 * means[n] + (1.0 - BETA_1) * gradient;
                squares[n] = BETA_2 * squares[n] + (1.0 - BETA_2) * gradient * gradient;
                net.values[n] -= options.learning_rate * (means[n] / rest_1) / ((squares[n] / rest_2).sqrt() + EPSILON);
            }
        }
        let (first, outer) = net.values.split_at(hidden * (rank + 1));
        let mut probe =
            MlpProbe { hidden: Vec::new(), hidden_biases: Vec::new(), weights: Vec::new(), biases: Vec::new() };
        for unit in first.chunks_exact(rank + 1) {
            let back = features.back(&unit[..rank]);
            let weights: Vec<f64> = back.iter().zip(&features.scale).map(|(w, scale)| w / scale).collect();
            probe.hidden_biases.push(unit[rank] - dot(&weights, &features.mean));
            probe.hidden.push(weights);
        }
        for class in outer.chunks_exact(hidden + 1) {
            probe.weights.push(class[..hidden].to_vec());
            probe.biases.push(class[hidden]);
        }
        Some(probe)
    }

    /// By class, of an activation `[width]`; they add up to 1.
    pub fn probabilities(&self, activation: &[f32]) -> Vec<f64> {
        let unit = |(weights, bias): (&Vec<f64>, &f64)| {
            let sum = weights.iter().zip(activation).map(|(w, &x)| w * f64::from(x)).sum::<f64>() + bias;
            sum.max(0.0)
        };
        let hidden: Vec<f64> = self.hidden.iter().zip(&self.hidden_biases).map(unit).collect();
        let mut scores: Vec<f64> =
            self.weights.iter().zip(&self.biases).map(|(w, bias)| dot(w, &hidden) + bias).collect();
        to_probabilities(&mut scores);
        scores
    }
}

/// The numbers that are learnt: by hidden unit `[rank]` weights and a bias, then by class `[hidden]` weights and a bias.
struct Net {
    rank: usize,
    hidden: usize,
    values: Vec<f64>,
}

impl Net {
    fn new(rank: usize, hidden: usize, classes: usize, seed: u64) -> Net {
        let bounds = [(hidden, rank, (6.0 / rank as f64).sqrt()), (classes, hidden, (3.0 / hidden as f64).sqrt())];
        let mut values = Vec::new();
        for (rows, inputs, bound) in bounds {
            for _ in 0..rows {
                for _ in 0..inputs {
                    let uniform = (splitmix64(seed, values.len() as u64) >> 11) as f64 / (1u64 << 53) as f64;
                    values.push(bound * (2.0 * uniform - 1.0));
                }
                values.push(0.0);
            }
        }
        Net { rank, hidden, values }
    }

    /// Of the mean of `-ln p(y)` over the texts and the penalty.
    fn gradient(&self, features: &Features, labels: &[usize], penalty: f64) -> Vec<f64> {
        let Net { rank, hidden, .. } = *self;
        let (first, outer) = self.values.split_at(hidden * (rank + 1));
        let mut gradient = vec![0.0; self.values.len()];
        let (of_first, of_outer) = gradient.split_at_mut(first.len());
        let share = 1.0 / labels.len() as f64;
        for (text, &label) in labels.iter().enumerate() {
            let row = features.row(text);
            let units: Vec<f64> =
                first.chunks_exact(rank + 1).map(|unit| (dot(&unit[..rank], row) + unit[rank]).max(0.0)).collect();
            let mut errors: Vec<f64> =
                outer.chunks_exact(hidden + 1).map(|class| dot(&class[..hidden], &units) + class[hidden]).collect();
            to_probabilities(&mut errors);
            errors[label] -= 1.0;
            let mut by_units = vec![0.0; hidden];
            let classes = outer.chunks_exact(hidden + 1).zip(of_outer.chunks_exact_mut(hidden + 1));
            for (error, (class, of_class)) in errors.iter().zip(classes) {
                let error = error * share;
                add_multiple(&mut of_class[..hidden], error, &units);
                of_class[hidden] += error;
                add_multiple(&mut by_units, error, &class[..hidden]);
            }
            for ((by_unit, unit), of_unit) in by_units.iter().zip(&units).zip(of_first.chunks_exact_mut(rank + 1)) {
                if *unit > 0.0 {
                    add_multiple(&mut of_unit[..rank], *by_unit, row);
                    of_unit[rank] += by_unit;
                }
            }
        }
        for (values, gradient, inputs) in [(first, of_first, rank), (outer, of_outer, hidden)] {
            for (values, gradient) in values.chunks_exact(inputs + 1).zip(gradient.chunks_exact_mut(inputs + 1)) {
                add_multiple(&mut gradient[..inputs], penalty, &values[..inputs]);
            }
        }
        gradient
    }
}
