//! The end of the forward pass by itself, on any residual streams.

use crate::backend::Device;
use crate::cpu::{Cpu, CpuPass, Way};
use crate::engine::{Backend, Engine};
use crate::forward::unembed;
use crate::gpu::GpuPass;
use crate::{Controls, EngineError};
use tiller_formats::Quant;
use tiller_kernels::{Draw, Row, Step, Want};
use tiller_sites::Site;

/// Rows of a step: the matrix product reads the weights once for all of them.
const MOST_ROWS: usize = 64;

/// Bytes of logits that are brought back at a time.
const LOGITS_BYTES: usize = 16 << 20;

impl Engine {
    /// The logits that the model would give if its last block left these residual streams, `[rows, d_model]`: its own
    /// final norm, unembedding and soft cap. `sink` is given each row's number and logits `[vocabulary]`, in order;
    /// `progress` the rows done and in all.
    ///
    /// Errors when the numbers are no whole rows, memory or the device is lost, or the work was cancelled.
    pub async fn unembed(
        &mut self,
        residuals: &[f32],
        controls: &impl Controls,
        mut progress: impl FnMut(u64, u64),
        mut sink: impl FnMut(usize, &[f32]),
    ) -> Result<(), EngineError> {
        let (width, vocabulary) = (self.config().width, self.config().vocab as usize);
        if !residuals.len().is_multiple_of(width as usize) {
            let last = Site::ResidPost(self.config().layers - 1);
            let (expected, found) = (width as usize, residuals.len() % width as usize);
            return Err(EngineError::VectorWidth { site: last, expected, found });
        }
        let total = residuals.len() / width as usize;
        if total == 0 {
            return Ok(());
        }
        let capacity = (LOGITS_BYTES / (4 * vocabulary)).clamp(1, MOST_ROWS).min(total);
        let config = self.config().clone();
        let bytes = bytemuck::cast_slice(residuals);
        // The rows are looked up as an embedding is: a step's tokens are their numbers.
        match &mut self.backend {
            Backend::Cpu { weights, state } => {
                let mut given = Cpu.matrix(Quant::F32, total as u32, width)?;
                Cpu.write_rows(&mut given, 0, bytes)?;
                for first in (0..total).step_by(capacity) {
                    let rows = rows(first..total.min(first + capacity));
                    let step = step(&rows);
                    let mut pass = CpuPass::new(&step, state, &[], Way::ManyRows);
                    unembed(&mut pass, &config, weights, &given)?;
                    let logits = pass.taps.remove(0);
                    hand_out(first, &logits, vocabulary, &mut sink);
                    rest(first + rows.len(), total, controls, &mut progress).await?;
                }
            }
            Backend::Gpu { gpu, weights, state, .. } => {
                let mut given = gpu.matrix(Quant::F32, total as u32, width)?;
                gpu.write_rows(&mut given, 0, bytes)?;
                let mut pass = GpuPass::new(gpu, capacity as u32, state, config.vocab, &[])?;
                unembed(&mut pass, &config, weights, &given)?;
                let plan = pass.finish()?;
                for first in (0..total).step_by(capacity) {
                    let rows = rows(first..total.min(first + capacity));
                    let ticket = plan.submit(&step(&rows), Want { taps: true, ..Want::default() })?;
                    let output = plan.read(ticket).await?;
                    hand_out(first, &output.taps[0], vocabulary, &mut sink);
                    rest(first + rows.len(), total, controls, &mut progress).await?;
                }
            }
        }
        Ok(())
    }
}

fn rows(range: std::ops::Range<usize>) -> Vec<Row> {
    range.map(|row| Row { token: row as u32, position: 0, kv_start: 0, edits: 0 }).collect()
}

fn step(rows: &[Row]) -> Step<'_> {
    Step { rows, picks: &[], sampling: Draw::GREEDY, coefficients: &[] }
}

fn hand_out(first: usize, logits: &[f32], vocabulary: usize, sink: &mut impl FnMut(usize, &[f32])) {
    for (row, logits) in logits.chunks_exact(vocabulary).enumerate() {
        sink(first + row, logits);
    }
}

/// Between steps.
async fn rest(
    done: usize,
    total: usize,
    controls: &impl Controls,
    progress: &mut impl FnMut(u64, u64),
) -> Result<(), EngineError> {
    progress(done as u64, total as u64);
    controls.pause().await;
    if done < total && controls.cancelled() { Err(EngineError::Cancelled) } else { Ok(()) }
}
