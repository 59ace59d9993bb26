//! What single neurons of an MLP write.

use crate::backend::{Device, Pass};
use crate::cpu::{Cpu, CpuPass, Way};
use crate::engine::{Backend, Engine};
use crate::gpu::GpuPass;
use crate::weights::Block;
use crate::{Controls, EngineError};
use tiller_formats::Quant;
use tiller_kernels::{Draw, Row, Step, TapRows, Want};
use tiller_sites::Site;

/// Rows of a step.
const MOST_ROWS: usize = 64;

impl Engine {
    /// The value vectors of block `layer`'s MLP (Geva et al. 2021, "Transformer Feed-Forward Layers Are Key-Value
    /// Memories"): `[d_mlp, d_model]`, row i what the residual stream gets for each unit of neuron i of
    /// `blocks.N.mlp.hook_post`, which is column i of the last projection. Where a norm follows the MLP, its gain is folded
    /// in, and what it divides by is not.
    ///
    /// `progress` is told the neurons done and in all. Errors when the model lacks the layer, memory or the device is
    /// lost, or the work was cancelled.
    pub async fn value_vectors(
        &mut self,
        layer: u32,
        controls: &impl Controls,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Vec<f32>, EngineError> {
        let site = Site::MlpPost(layer);
        site.check(self.config().layers)?;
        let (width, neurons) = (self.config().width, self.config().ffn as usize);
        let vocabulary = self.config().vocab;
        let capacity = MOST_ROWS.min(neurons);
        let mut found = Vec::with_capacity(neurons * width as usize);
        for first in (0..neurons).step_by(capacity) {
            if controls.cancelled() {
                return Err(EngineError::Cancelled);
            }
            let count = capacity.min(neurons - first);
            // One neuron a row: looked up as an embedding is, a step's tokens are the rows' numbers.
            let mut one_each = vec![0.0f32; count * neurons];
            (0..count).for_each(|row| one_each[row * neurons + first + row] = 1.0);
            let bytes = bytemuck::cast_slice(&one_each);
            let row = |row| Row { token: row, position: 0, kv_start: 0, edits: 0 };
            let rows: Vec<Row> = (0..count as u32).map(row).collect();
            let step = Step { rows: &rows, picks: &[], sampling: Draw::GREEDY, coefficients: &[] };
            let taps = match &mut self.backend {
                Backend::Cpu { weights, state } => {
                    let mut given = Cpu.matrix(Quant::F32, count as u32, neurons as u32)?;
                    Cpu.write_rows(&mut given, 0, bytes)?;
                    let mut pass = CpuPass::new(&step, state, &[], Way::ManyRows);
                    record(&mut pass, &weights.blocks[layer as usize], &given, width)?;
                    pass.taps
                }
                Backend::Gpu { gpu, weights, state, .. } => {
                    let mut given = gpu.matrix(Quant::F32, count as u32, neurons as u32)?;
                    gpu.write_rows(&mut given, 0, bytes)?;
                    let mut pass = GpuPass::new(gpu, count as u32, state, vocabulary, &[])?;
                    record(&mut pass, &weights.blocks[layer as usize], &given, width)?;
                    let plan = pass.finish()?;
                    let ticket = plan.submit(&step, Want { taps: true, ..Want::default() })?;
                    plan.read(ticket).await?.taps
                }
            };
            found.extend_from_slice(&taps[0][..count * width as usize]);
            progress((first + count) as u64, neurons as u64);
            controls.pause().await;
        }
        Ok(found)
    }
}

/// Taps what the last projection, and the gain of the norm after it where there is one, make of the rows of `given`.
fn record<P: Pass>(
    pass: &mut P,
    block: &Block<P::Device>,
    given: &<P::Device as Device>::Matrix,
    width: u32,
) -> Result<(), EngineError> {
    let neurons = pass.embed(given, 1.0)?;
    let mut written = pass.linear(&neurons, None, std::slice::from_ref(&block.down), None)?;
    if let Some(norm) = &block.post_mlp_norm {
        written = pass.gain(written, norm)?;
    }
    pass.tap(&written, Site::MlpOut(0), 0..width, TapRows::All)
}
