//! What a lens is to say.

use crate::log_softmax::LogSoftmax;

/// The model's own next-token distribution at one position.
#[derive(Clone, Debug)]
pub struct Target {
    /// `[vocabulary]`.
    probabilities: Vec<f32>,
    /// `sum p ln p`.
    negative_entropy: f64,
}

impl Target {
    /// `None` where the logits are not all finite.
    pub fn of(logits: &[f32]) -> Option<Target> {
        let distribution = LogSoftmax::of(logits)?;
        let probabilities = distribution.log_probs().map(|log_prob| log_prob.exp() as f32).collect();
        Some(Target { probabilities, negative_entropy: -distribution.entropy() })
    }

    /// `KL(model || lens)` in nats of a lens that gives these logits, `[vocabulary]`; not a number where they are not
    /// finite. To `gradient` its gradient by the logits before the soft `cap`: `(q - p) (1 - (logit / cap)^2)`.
    pub fn divergence(&self, logits: &[f32], cap: Option<f32>, gradient: &mut [f32]) -> f64 {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        let mut expected = 0.0;
        for ((gradient, &logit), &p) in gradient.iter_mut().zip(logits).zip(&self.probabilities) {
            let share = (logit - max).exp();
            *gradient = share;
            sum += f64::from(share);
            expected += f64::from(p) * f64::from(logit - max);
        }
        let scale = (1.0 / sum) as f32;
        gradient.iter_mut().zip(&self.probabilities).for_each(|(gradient, p)| *gradient = *gradient * scale - p);
        if let Some(cap) = cap {
            gradient.iter_mut().zip(logits).for_each(|(gradient, x)| *gradient *= 1.0 - (x / cap).powi(2));
        }
        self.negative_entropy + sum.ln() - expected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_divergence_is_that_of_the_distributions_and_its_gradient_the_change_of_it() {
        let target = Target::of(&[0.3, -1.0, 2.0, 0.0]).unwrap();
        let raw = [1.0f32, 0.5, -0.5, 40.0 / 3.0];
        for cap in [None, Some(20.0f32)] {
            let logits = |raw: &[f32]| raw.iter().map(|&x| cap.map_or(x, |cap| cap * (x / cap).tanh())).collect();
            let loss = |raw: &[f32]| {
                let logits: Vec<f32> = logits(raw);
                let plain = LogSoftmax::of(&[0.3, -1.0, 2.0, 0.0]).unwrap();
                plain.divergence(&LogSoftmax::of(&logits).unwrap())
            };
            let logits: Vec<f32> = logits(&raw);
            let mut gradient = vec![0.0; 4];
            let found = target.divergence(&logits, cap, &mut gradient);
            assert!((found - loss(&raw)).abs() < 1e-5, "{found} {}", loss(&raw));
            for i in 0..4 {
                let moved = |by: f32| {
                    let mut raw = raw;
                    raw[i] += by;
                    loss(&raw)
                };
                let exact = (moved(0.01) - moved(-0.01)) / 0.02;
                assert!((f64::from(gradient[i]) - exact).abs() < 1e-4, "{i}: {} {exact}", gradient[i]);
            }
        }
    }
}
