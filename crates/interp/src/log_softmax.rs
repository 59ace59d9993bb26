//! From logits to log probabilities, in f64: differences of probabilities far below f32's precision are what is
//! measured.

/// The natural logarithm of a softmax.
#[derive(Clone, Debug)]
pub struct LogSoftmax {
    logits: Vec<f32>,
    max: f64,
    /// `ln sum exp(logit - max)`. Kept apart from `max`, beside which it may be too small to count.
    log_sum: f64,
}

impl LogSoftmax {
    /// `None` where the logits are not all finite.
    pub fn of(logits: &[f32]) -> Option<LogSoftmax> {
        let finite = !logits.is_empty() && logits.iter().all(|logit| logit.is_finite());
        finite.then(|| {
            let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - max).exp()).sum();
            LogSoftmax { logits: logits.to_vec(), max, log_sum: sum.ln() }
        })
    }

    /// Log probability of token `token`, which is in the vocabulary.
    pub fn at(&self, token: usize) -> f64 {
        f64::from(self.logits[token]) - self.max - self.log_sum
    }

    /// Log odds of some tokens against all others: `ln sum exp(logit)` of the ones less that of the others, in nats.
    /// `tokens`: in the vocabulary, ascending; some of it, and not all.
    pub fn log_odds(&self, tokens: &[u32]) -> f64 {
        let mut next = tokens.iter().map(|&token| token as usize).peekable();
        let (mut named, mut rest) = (Vec::with_capacity(tokens.len()), 0.0);
        for (token, &logit) in self.logits.iter().enumerate() {
            let below = f64::from(logit) - self.max;
            match next.next_if_eq(&token) {
                Some(_) => named.push(below),
                None => rest += below.exp(),
            }
        }
        // Tokens may be so unlikely that their probabilities are none in f64.
        let most = named.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        most + named.iter().map(|below| (below - most).exp()).sum::<f64>().ln() - rest.ln()
    }

    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// `-sum p ln p`, in nats.
    pub fn entropy(&self) -> f64 {
        self.log_probs().map(|log_prob| -log_prob.exp() * log_prob).sum()
    }

    /// Kullback-Leibler divergence from `reference`, over the same vocabulary: `sum p (ln p - ln q)`, in nats.
    pub fn divergence(&self, reference: &LogSoftmax) -> f64 {
        self.log_probs().zip(reference.log_probs()).map(|(p, q)| p.exp() * (p - q)).sum()
    }

    pub fn log_probs(&self) -> impl Iterator<Item = f64> {
        self.logits.iter().map(|&logit| f64::from(logit) - self.max - self.log_sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_add_up_to_one_at_any_size_of_logits() {
        for shift in [-3e38f32, -1e4, 0.0, 1e4, 1e30] {
            let logits: Vec<f32> = [0.0, -1.0, 2.0].iter().map(|x| x + shift).collect();
            let sum: f64 = LogSoftmax::of(&logits).unwrap().log_probs().map(f64::exp).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{sum} at {shift}");
        }
    }

    #[test]
    fn entropy_is_that_of_equal_choices() {
        let found = LogSoftmax::of(&[5.0, 5.0, -1e9, 5.0, 5.0]).unwrap().entropy();
        assert!((found - 4f64.ln()).abs() < 1e-12, "{found}");
    }

    #[test]
    fn divergence_is_as_worked_out_by_hand() {
        // p = (3/4, 1/4), q = (1/2, 1/2): 3/4 ln(3/2) + 1/4 ln(1/2).
        let p = LogSoftmax::of(&[3f32.ln(), 0.0]).unwrap();
        let q = LogSoftmax::of(&[7.0, 7.0]).unwrap();
        let expected = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
        assert!((p.divergence(&q) - expected).abs() < 1e-7);
        assert_eq!(p.divergence(&p), 0.0);
    }

    #[test]
    fn log_odds_are_those_of_probabilities_however_small() {
        let found = LogSoftmax::of(&[2.0, -1.0, 0.5, 1.0]).unwrap();
        let p = found.at(1).exp() + found.at(3).exp();
        assert!((found.log_odds(&[1, 3]) - (p / (1.0 - p)).ln()).abs() < 1e-12);
        assert_eq!(LogSoftmax::of(&[0.0, -2000.0, -2000.0]).unwrap().log_odds(&[1, 2]), 2f64.ln() - 2000.0);
    }

    #[test]
    fn what_is_not_finite_has_no_probabilities() {
        assert!(LogSoftmax::of(&[0.0, f32::NAN]).is_none());
        assert!(LogSoftmax::of(&[0.0, f32::INFINITY]).is_none());
        assert!(LogSoftmax::of(&[]).is_none());
    }
}
