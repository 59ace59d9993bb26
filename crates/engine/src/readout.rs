//! How the logits of single tokens read the final norm's output.

use crate::backend::Pass;
use crate::cpu::{CpuPass, Way};
use crate::engine::{Backend, Engine};
use crate::gpu::GpuPass;
use crate::weights::Weights;
use crate::{Controls, EngineError};
use tiller_kernels::{Draw, Row, Step, TapRows, Want};
use tiller_model::ModelConfig;
use tiller_sites::Site;

/// A token's logit as a function of `ln_final.hook_normalized`, x: `direction . x + constant` (before the model's soft
/// cap, where it has one).
#[derive(Clone, Debug, PartialEq)]
pub struct Readout {
    /// The token's row of the unembedding with the final norm's gain folded in, `[d_model]`.
    pub direction: Vec<f32>,
    /// What the final norm's bias gives.
    pub constant: f32,
}

impl Engine {
    /// Whether attention adds a bias to the residual stream, which belongs to no head.
    pub fn attention_adds_bias(&self) -> bool {
        match &self.backend {
            Backend::Cpu { weights, .. } => weights.blocks.iter().any(|block| block.out_bias.is_some()),
            Backend::Gpu { weights, .. } => weights.blocks.iter().any(|block| block.out_bias.is_some()),
        }
    }

    /// The readouts of some tokens. Errors where one is not in the vocabulary, or memory or the device is lost.
    pub async fn readouts(&mut self, tokens: &[u32], controls: &impl Controls) -> Result<Vec<Readout>, EngineError> {
        self.check_tokens(tokens)?;
        let config = self.config().clone();
        let width = config.width as usize;
        let mut readouts = Vec::with_capacity(tokens.len());
        for &token in tokens {
            if controls.cancelled() {
                return Err(EngineError::Cancelled);
            }
            let rows = [Row { token, position: 0, kv_start: 0, edits: 0 }];
            let step = Step { rows: &rows, picks: &[], sampling: Draw::GREEDY, coefficients: &[] };
            let taps = match &mut self.backend {
                Backend::Cpu { weights, state } => {
                    let mut pass = CpuPass::new(&step, state, &[], Way::FewRows);
                    record(&mut pass, &config, weights)?;
                    pass.taps
                }
                Backend::Gpu { gpu, weights, state, .. } => {
                    let mut pass = GpuPass::new(gpu, 1, state, config.vocab, &[])?;
                    record(&mut pass, &config, weights)?;
                    let plan = pass.finish()?;
                    let ticket = plan.submit(&step, Want { taps: true, ..Want::default() })?;
                    plan.read(ticket).await?.taps
                }
            };
            let [row, gained, bias] = &taps[..] else { unreachable!("three taps were recorded") };
            let direction = gained.iter().zip(bias).take(width).map(|(gained, bias)| gained - bias).collect();
            let constant = row.iter().zip(bias).map(|(&w, &b)| f64::from(w) * f64::from(b)).sum::<f64>() as f32;
            readouts.push(Readout { direction, constant });
        }
        Ok(readouts)
    }
}

/// Taps the token's row of the unembedding, the same through the final norm's gain and bias, and that bias alone (what
/// zeros become).
fn record<P: Pass>(pass: &mut P, config: &ModelConfig, weights: &Weights<P::Device>) -> Result<(), EngineError> {
    let unembedding = weights.unembedding.as_ref().unwrap_or(&weights.embedding);
    let tap = |pass: &mut P, x: &P::Act| pass.tap(x, Site::FinalNorm, 0..config.width, TapRows::All);
    let row = pass.embed(unembedding, 1.0)?;
    tap(pass, &row)?;
    let gained = pass.gain(row, &weights.final_norm)?;
    tap(pass, &gained)?;
    let zeros = pass.embed(unembedding, 0.0)?;
    let bias = pass.gain(zeros, &weights.final_norm)?;
    tap(pass, &bias)
}
