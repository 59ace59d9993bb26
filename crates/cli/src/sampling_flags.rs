//! The flags that say how tokens are drawn.

use clap::Args;
use tiller_engine::Sampling;

#[derive(Args, Clone, Copy, Debug)]
pub struct SamplingFlags {
    /// 0 always takes the most probable token; 1 draws from the model's own distribution [default: 0].
    #[arg(long, value_name = "X")]
    temperature: Option<f32>,
    /// Draw from the K most probable tokens only; 0 means all [default: 0].
    #[arg(long, value_name = "K")]
    top_k: Option<u32>,
    /// Draw from the most probable tokens that together reach this probability [default: 1].
    #[arg(long, value_name = "P")]
    top_p: Option<f32>,
    /// Divides the scores of tokens that the text already has; 1 leaves them alone.
    #[arg(long)]
    repetition_penalty: Option<f32>,
    /// The same seed draws the same tokens [default: 0].
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
}

impl SamplingFlags {
    /// What the flags say; `otherwise` where they say nothing.
    pub fn sampling(self, otherwise: Sampling) -> Sampling {
        Sampling {
            temperature: self.temperature.unwrap_or(otherwise.temperature),
            top_k: self.top_k.unwrap_or(otherwise.top_k),
            top_p: self.top_p.unwrap_or(otherwise.top_p),
            repetition_penalty: self.repetition_penalty.unwrap_or(otherwise.repetition_penalty),
            seed: self.seed.unwrap_or(otherwise.seed),
        }
        .clamped()
    }
}
