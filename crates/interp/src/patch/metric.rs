//! The one number of an output that interventions are judged by.

use crate::InterpError;
use serde::Serialize;
use tiller_engine::{Engine, EngineError, Logits, TapRows, Variant, Variants};

/// A number of the next token's logits, after a prompt's last token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Logit of the answer less logit of the wrong answer (Wang et al. 2022, "Interpretability in the Wild").
    LogitDifference { answer: u32, wrong: u32 },
    /// Natural logarithm of the token's probability.
    LogProbability { token: u32 },
}

impl Metric {
    pub fn name(self) -> &'static str {
        match self {
            Metric::LogitDifference { .. } => "the logit difference",
            Metric::LogProbability { .. } => "the answer's log probability",
        }
    }

    /// Errors where the metric's tokens are not in the model's vocabulary.
    pub(crate) fn check(self, engine: &Engine) -> Result<(), InterpError> {
        let tokens = match self {
            Metric::LogitDifference { answer, wrong } => [answer, wrong],
            Metric::LogProbability { token } => [token, token],
        };
        match tokens.iter().find(|&&token| token >= engine.config().vocab) {
            Some(&token) => Err(EngineError::UnknownToken(token).into()),
            None => Ok(()),
        }
    }

    /// The tokens whose logits it needs, each once.
    pub fn tokens(self) -> Vec<u32> {
        match self {
            Metric::LogitDifference { answer, wrong } if answer != wrong => vec![answer, wrong],
            Metric::LogitDifference { answer: token, .. } | Metric::LogProbability { token } => vec![token],
        }
    }

    /// `read`: what [`Logits::Of`] reads of [`Metric::tokens`]. `None` where the number is not finite.
    pub fn of(self, read: &[f32]) -> Option<f64> {
        let (of_tokens, all) = read.split_at(self.tokens().len());
        let value = match self {
            Metric::LogitDifference { .. } => f64::from(of_tokens[0]) - f64::from(of_tokens[of_tokens.len() - 1]),
            Metric::LogProbability { .. } => f64::from(of_tokens[0]) - f64::from(all[0]),
        };
        (value.is_finite() && all[0].is_finite()).then_some(value)
    }

    /// The metric after the unedited prompt.
    pub(crate) async fn plain(
        self,
        engine: &mut Engine,
        prompt: &[u32],
        controls: &impl tiller_engine::Controls,
    ) -> Result<f64, InterpError> {
        let runs = [Variant { edit: None, positions: 0..0 }];
        let tokens = self.tokens();
        let logits = Logits::Of(&tokens);
        let what = Variants { tokens: prompt, edits: &[], runs: &runs, rows: TapRows::Picks, logits };
        let mut found = None;
        engine.run_variants(&what, controls, |_, _| {}, |_, _, read| found = self.of(read)).await?;
        found.ok_or(InterpError::Overdriven)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_as_worked_out_by_hand() {
        // Of the logits 0, ln 3 and 1.
        let all = (4.0 + std::f32::consts::E).ln();
        let difference = Metric::LogitDifference { answer: 2, wrong: 0 };
        assert_eq!((difference.tokens(), difference.of(&[1.0, 0.0, all])), (vec![2, 0], Some(1.0)));
        let alike = Metric::LogitDifference { answer: 1, wrong: 1 };
        assert_eq!((alike.tokens(), alike.of(&[3f32.ln(), all])), (vec![1], Some(0.0)));
        let log_prob = Metric::LogProbability { token: 1 }.of(&[3f32.ln(), all]).unwrap();
        assert!((log_prob - (3.0 / (4.0 + std::f64::consts::E)).ln()).abs() < 1e-6, "{log_prob}");
        assert_eq!(difference.of(&[f32::INFINITY, 0.0, f32::INFINITY]), None);
        assert_eq!(difference.of(&[1.0, 0.0, f32::NAN]), None);
    }
}
