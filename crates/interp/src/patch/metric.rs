//! The one number of an output that interventions are judged by.

use crate::InterpError;
use crate::log_softmax::LogSoftmax;
use serde::Serialize;
use tiller_engine::{Engine, EngineError, TapRows, Variant, Variants};

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

    /// `logits`: `[vocabulary]`. `None` where the number is not finite.
    pub fn of(self, logits: &[f32]) -> Option<f64> {
        let value = match self {
            Metric::LogitDifference { answer, wrong } => {
                f64::from(logits[answer as usize]) - f64::from(logits[wrong as usize])
            }
            Metric::LogProbability { token } => LogSoftmax::of(logits)?.at(token as usize),
        };
        value.is_finite().then_some(value)
    }

    /// The metric after the unedited prompt.
    pub(crate) async fn plain(
        self,
        engine: &mut Engine,
        prompt: &[u32],
        controls: &impl tiller_engine::Controls,
    ) -> Result<f64, InterpError> {
        let runs = [Variant { edit: None, positions: 0..0 }];
        let what = Variants { tokens: prompt, edits: &[], runs: &runs, rows: TapRows::Picks };
        let mut found = None;
        engine.run_variants(&what, controls, |_, _| {}, |_, _, logits| found = self.of(logits)).await?;
        found.ok_or(InterpError::Overdriven)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_as_worked_out_by_hand() {
        let logits = [0.0, 3f32.ln(), 1.0];
        assert_eq!(Metric::LogitDifference { answer: 2, wrong: 0 }.of(&logits), Some(1.0));
        let log_prob = Metric::LogProbability { token: 1 }.of(&logits).unwrap();
        assert!((log_prob - (3.0 / (4.0 + std::f64::consts::E)).ln()).abs() < 1e-6, "{log_prob}");
        assert_eq!(Metric::LogitDifference { answer: 0, wrong: 1 }.of(&[f32::INFINITY, 0.0]), None);
    }
}
