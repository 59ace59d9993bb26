//! Attention: where heads look.

mod head_scores;
mod patterns;

pub use head_scores::{HeadScores, head_scores, repeated_text};
pub use patterns::{HeadPattern, attention_patterns};
