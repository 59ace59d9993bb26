//! The gradient of the logits, taken back through the unembedding.

use crate::backend::{Device, Pass};
use crate::cpu::{Cpu, CpuPass, Way, multiply};
use crate::engine::{Backend, Engine};
use crate::gpu::GpuPass;
use crate::weights::Weights;
use crate::{Controls, EngineError};
use std::ops::Range;
use tiller_formats::Quant;
use tiller_kernels::{Draw, Row, Step, TapRows, Want};
use tiller_model::ModelConfig;
use tiller_sites::Site;

/// Bytes of the unembedding that are unpacked at a time.
const CHUNK_BYTES: usize = 4 << 20;

impl Engine {
    /// What a change of the logits asks of the final norm's output before its gain: `gain * (gradient W_U)`, which is the
    /// gradient by `ln_final.hook_normalized`, `[rows, d_model]`, of what has the `gradient`, `[rows, vocabulary]`, by
    /// the logits before their soft cap.
    ///
    /// The unembedding comes from the device a piece at a time; the products are summed on the CPU. Errors when the
    /// numbers are no whole rows, memory or the device is lost, or the work was cancelled.
    pub async fn unembed_gradient(
        &mut self,
        gradient: &[f32],
        controls: &impl Controls,
    ) -> Result<Vec<f32>, EngineError> {
        let config = self.config().clone();
        let (width, vocabulary) = (config.width as usize, config.vocab as usize);
        if !gradient.len().is_multiple_of(vocabulary) {
            let (expected, found) = (vocabulary, gradient.len() % vocabulary);
            return Err(EngineError::VectorWidth { site: Site::Logits, expected, found });
        }
        let rows = gradient.len() / vocabulary;
        let mut sum = vec![0.0; rows * width];
        if rows == 0 {
            return Ok(sum);
        }
        let chunk = (CHUNK_BYTES / (4 * width)).clamp(1, vocabulary);
        for first in (0..vocabulary).step_by(chunk) {
            let tokens = first..vocabulary.min(first + chunk);
            let unembedding = self.unembedding(tokens.clone()).await?;
            let mut columns = Cpu.matrix(Quant::F32, config.width, tokens.len() as u32)?;
            let transposed = transposed(&unembedding, width);
            Cpu.write_rows(&mut columns, 0, bytemuck::cast_slice(&transposed))?;
            let of_tokens: Vec<f32> =
                gradient.chunks_exact(vocabulary).flat_map(|row| &row[tokens.clone()]).copied().collect();
            let products = multiply(&of_tokens, std::slice::from_ref(&columns), Way::ManyRows, None);
            sum.iter_mut().zip(&products).for_each(|(sum, product)| *sum += product);
            controls.pause().await;
            if tokens.end < vocabulary && controls.cancelled() {
                return Err(EngineError::Cancelled);
            }
        }
        let gain = self.final_gain(&config).await?;
        sum.chunks_exact_mut(width).for_each(|row| row.iter_mut().zip(&gain).for_each(|(x, gain)| *x *= gain));
        Ok(sum)
    }

    /// Rows of the unembedding, `[tokens, d_model]`, as it is.
    async fn unembedding(&mut self, tokens: Range<usize>) -> Result<Vec<f32>, EngineError> {
        let rows: Vec<Row> = tokens.map(|token| row(token as u32)).collect();
        let width = self.config().width;
        let vocabulary = self.config().vocab;
        let step = step(&rows);
        let mut taps = match &mut self.backend {
            Backend::Cpu { weights, state } => {
                let mut pass = CpuPass::new(&step, state, &[], Way::ManyRows);
                record_rows(&mut pass, weights, width)?;
                pass.taps
            }
            Backend::Gpu { gpu, weights, state, .. } => {
                let mut pass = GpuPass::new(gpu, rows.len() as u32, state, vocabulary, &[])?;
                record_rows(&mut pass, weights, width)?;
                let plan = pass.finish()?;
                let ticket = plan.submit(&step, Want { taps: true, ..Want::default() })?;
                plan.read(ticket).await?.taps
            }
        };
        let mut found = taps.remove(0);
        found.truncate(rows.len() * width as usize);
        Ok(found)
    }

    /// The final norm's gain, `[d_model]`: what ones become by it, less what zeros become.
    async fn final_gain(&mut self, config: &ModelConfig) -> Result<Vec<f32>, EngineError> {
        let ones = vec![1.0f32; config.width as usize];
        let bytes = bytemuck::cast_slice(&ones);
        let rows = [row(0)];
        let step = step(&rows);
        let taps = match &mut self.backend {
            Backend::Cpu { weights, state } => {
                let mut given = Cpu.matrix(Quant::F32, 1, config.width)?;
                Cpu.write_rows(&mut given, 0, bytes)?;
                let mut pass = CpuPass::new(&step, state, &[], Way::FewRows);
                record_gain(&mut pass, weights, &given, config.width)?;
                pass.taps
            }
            Backend::Gpu { gpu, weights, state, .. } => {
                let mut given = gpu.matrix(Quant::F32, 1, config.width)?;
                gpu.write_rows(&mut given, 0, bytes)?;
                let mut pass = GpuPass::new(gpu, 1, state, config.vocab, &[])?;
                record_gain(&mut pass, weights, &given, config.width)?;
                let plan = pass.finish()?;
                let ticket = plan.submit(&step, Want { taps: true, ..Want::default() })?;
                plan.read(ticket).await?.taps
            }
        };
        Ok(taps[0].iter().zip(&taps[1]).map(|(gained, bias)| gained - bias).collect())
    }
}

fn row(token: u32) -> Row {
    Row { token, position: 0, kv_start: 0, edits: 0 }
}

fn step(rows: &[Row]) -> Step<'_> {
    Step { rows, picks: &[], sampling: Draw::GREEDY, coefficients: &[] }
}

fn record_rows<P: Pass>(pass: &mut P, weights: &Weights<P::Device>, width: u32) -> Result<(), EngineError> {
    let rows = pass.embed(weights.unembedding.as_ref().unwrap_or(&weights.embedding), 1.0)?;
    pass.tap(&rows, Site::FinalNorm, 0..width, TapRows::All)
}

fn record_gain<P: Pass>(
    pass: &mut P,
    weights: &Weights<P::Device>,
    ones: &<P::Device as Device>::Matrix,
    width: u32,
) -> Result<(), EngineError> {
    for scale in [1.0, 0.0] {
        let x = pass.embed(ones, scale)?;
        let gained = pass.gain(x, &weights.final_norm)?;
        pass.tap(&gained, Site::FinalNorm, 0..width, TapRows::All)?;
    }
    Ok(())
}

/// `[n, width]` to `[width, n]`.
fn transposed(x: &[f32], width: usize) -> Vec<f32> {
    /// Rows at once, so that what is written is still in the cache when its neighbour comes.
    const ROWS: usize = 16;
    let n = x.len() / width;
    let mut out = vec![0.0; x.len()];
    for (block, rows) in x.chunks(ROWS * width).enumerate() {
        for column in 0..width {
            let out = &mut out[column * n + block * ROWS..];
            rows.chunks_exact(width).zip(out).for_each(|(row, out)| *out = row[column]);
        }
    }
    out
}
