//! Logistic regression with more than two classes.

use super::examples::Activations;
use super::features::Features;
use crate::positive_definite::{add_multiple, conjugate_gradients, dot};

/// Newton steps; a dozen are usual.
const STEPS: usize = 100;

/// A probe of several classes: the scores of an activation x are `weights x + biases`, its probabilities their softmax.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftmaxProbe {
    /// On raw activations, by class, `[width]` each. They add up to 0.
    pub weights: Vec<Vec<f64>>,
    /// By class. They add up to 0.
    pub biases: Vec<f64>,
}

impl SoftmaxProbe {
    /// Fitted to the texts named, whose classes `labels` are, below `classes`: the minimum of
    /// `|W|^2 / 2 - C sum ln p(y)` on standardised activations, as scikit-learn's LogisticRegression states it; the biases
    /// are not penalised. By Newton steps, each found by conjugate gradients as far as it is worth, and shortened until the
    /// sum falls (as [`logistic`](super::logistic::logistic)).
    ///
    /// Ends where the gradient is below `tolerance` times the larger of 1 and |W|. `None` where the texts read alike, or
    /// have fewer than two of the classes.
    pub fn fit(
        activations: &Activations,
        texts: &[usize],
        labels: &[usize],
        classes: usize,
        c: f64,
        tolerance: f64,
    ) -> Option<SoftmaxProbe> {
        let features = Features::of(activations, texts, true);
        if features.rank == 0 || labels.iter().all(|label| label == &labels[0]) {
            return None;
        }
        let problem = Problem { features: &features, labels, classes, c };
        let at = problem.minimum(tolerance);
        let stride = features.rank + 1;
        let mut probe = SoftmaxProbe { weights: Vec::with_capacity(classes), biases: Vec::with_capacity(classes) };
        for of_class in at.chunks_exact(stride) {
            let back = features.back(&of_class[..features.rank]);
            let weights: Vec<f64> = back.iter().zip(&features.scale).map(|(w, scale)| w / scale).collect();
            probe.biases.push(of_class[features.rank] - dot(&weights, &features.mean));
            probe.weights.push(weights);
        }
        Some(probe)
    }

    /// By class, of an activation `[width]`; they add up to 1.
    pub fn probabilities(&self, activation: &[f32]) -> Vec<f64> {
        let score = |(weights, bias): (&Vec<f64>, &f64)| {
            weights.iter().zip(activation).map(|(w, &x)| w * f64::from(x)).sum::<f64>() + bias
        };
        let mut scores: Vec<f64> = self.weights.iter().zip(&self.biases).map(score).collect();
        to_probabilities(&mut scores);
        scores
    }
}

/// Scores to their softmax; the logarithm of the sum of their exponentials.
pub(super) fn to_probabilities(scores: &mut [f64]) -> f64 {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|score| *score = (*score - most).exp());
    let sum: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
    most + sum.ln()
}

struct Problem<'a> {
    features: &'a Features,
    labels: &'a [usize],
    classes: usize,
    c: f64,
}

impl Problem<'_> {
    /// By class, weights then bias. From zeros, so that the classes' biases keep adding up to 0.
    fn minimum(&self, tolerance: f64) -> Vec<f64> {
        let stride = self.features.rank + 1;
        let mut at = vec![0.0; self.classes * stride];
        let (mut value, mut probabilities) = self.value(&at);
        for _ in 0..STEPS {
            let errors = |text: usize, class: usize| {
                let share = probabilities[text * self.classes + class];
                self.c * (share - f64::from(u8::from(self.labels[text] == class)))
            };
            let mut gradient = self.spread(errors);
            self.penalise(&at, &mut gradient);
            let length = dot(&gradient, &gradient).sqrt();
            if length <= tolerance * dot(&at, &at).sqrt().max(1.0) {
                break;
            }
            let downhill: Vec<f64> = gradient.iter().map(|x| -x).collect();
            let hessian = |x: &[f64]| self.times_hessian(&probabilities, x);
            let enough = length.sqrt().min(0.1);
            let step = conjugate_gradients(hessian, <[f64]>::to_vec, &downhill, enough, 10 * stride);
            let slope = dot(&gradient, &step);
            // Armijo's rule.
            let mut share = 1.0;
            let taken = loop {
                let next: Vec<f64> = at.iter().zip(&step).map(|(x, step)| x + share * step).collect();
                let (next_value, next_probabilities) = self.value(&next);
                // Near the minimum the fall drowns in rounding.
                if next_value <= value + 1e-4 * share * slope || -slope <= 1e-13 * value.abs() {
                    break Some((next, next_value, next_probabilities));
                }
                share /= 2.0;
                if share < 1e-10 {
                    break None;
                }
            };
            let Some(taken) = taken else { break };
            (at, value, probabilities) = taken;
        }
        at
    }

    /// The sum that is to be small, and every text's probabilities, `[texts, classes]`.
    fn value(&self, at: &[f64]) -> (f64, Vec<f64>) {
        let rank = self.features.rank;
        let mut value = 0.0;
        let mut probabilities = self.scores(at);
        for (scores, &label) in probabilities.chunks_exact_mut(self.classes).zip(self.labels) {
            let of_label = scores[label];
            value += self.c * (to_probabilities(scores) - of_label);
        }
        let squares = |of_class: &[f64]| dot(&of_class[..rank], &of_class[..rank]) / 2.0;
        (value + at.chunks_exact(rank + 1).map(squares).sum::<f64>(), probabilities)
    }

    /// `[texts, classes]`.
    fn scores(&self, at: &[f64]) -> Vec<f64> {
        let rank = self.features.rank;
        let of_text = |text: usize| {
            at.chunks_exact(rank + 1)
                .map(move |of_class| dot(self.features.row(text), &of_class[..rank]) + of_class[rank])
        };
        (0..self.features.len()).flat_map(of_text).collect()
    }

    /// What each text's and class's share asks of that class's weights and bias, added up.
    fn spread(&self, share: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let rank = self.features.rank;
        let mut sum = vec![0.0; self.classes * (rank + 1)];
        for text in 0..self.features.len() {
            for (class, sum) in sum.chunks_exact_mut(rank + 1).enumerate() {
                let share = share(text, class);
                add_multiple(&mut sum[..rank], share, self.features.row(text));
                sum[rank] += share;
            }
        }
        sum
    }

    /// `to += x`, but for the biases.
    fn penalise(&self, x: &[f64], to: &mut [f64]) {
        let stride = self.features.rank + 1;
        for (x, to) in x.chunks_exact(stride).zip(to.chunks_exact_mut(stride)) {
            add_multiple(&mut to[..stride - 1], 1.0, &x[..stride - 1]);
        }
    }

    /// The Hessian of a text by its scores is `diag(p) - p p^T`.
    fn times_hessian(&self, probabilities: &[f64], x: &[f64]) -> Vec<f64> {
        let along = self.scores(x);
        let means: Vec<f64> = along
            .chunks_exact(self.classes)
            .zip(probabilities.chunks_exact(self.classes))
            .map(|(a, p)| dot(a, p))
            .collect();
        let mut image = self.spread(|text, class| {
            let at = text * self.classes + class;
            self.c * probabilities[at] * (along[at] - means[text])
        });
        self.penalise(x, &mut image);
        image
    }
}
