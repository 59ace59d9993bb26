//! How the next token is drawn.

use serde::{Deserialize, Serialize};

/// How the next token is drawn from the logits. Drawing is reproducible: the noise depends on the seed, the number of
/// tokens written so far and the token's id alone, so two runs with one seed share their randomness.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// 0 always takes the most probable token (greedy); 1 draws from the model's own distribution.
    pub temperature: f32,
    /// Only the `top_k` most probable tokens are drawn; 0 means no limit. Ties with the last of them stay in.
    pub top_k: u32,
    /// Only the most probable tokens that together reach this probability are drawn; 1 means no limit.
    pub top_p: f32,
    /// Divides positive logits of the tokens that the text already has, and multiplies negative ones (Keskar et al.
    /// 2019, "CTRL"); 1 leaves them alone.
    pub repetition_penalty: f32,
    pub seed: u32,
}

impl Sampling {
    pub const GREEDY: Sampling = Sampling { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0, seed: 0 };

    /// The same settings with every number brought into its range; what cannot be a number becomes the default.
    pub fn clamped(self) -> Sampling {
        let or = |value: f32, default: f32| if value.is_finite() { value } else { default };
        Sampling {
            temperature: or(self.temperature, 0.0).clamp(0.0, 10.0),
            top_p: or(self.top_p, 1.0).clamp(0.0, 1.0),
            repetition_penalty: or(self.repetition_penalty, 1.0).clamp(0.1, 10.0),
            ..self
        }
    }
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling { temperature: 0.7, top_k: 0, top_p: 0.95, repetition_penalty: 1.0, seed: 7 }
    }
}
