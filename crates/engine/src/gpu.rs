//! The GPU backend: running the forward pass records a plan, and a step replays it.

use crate::EngineError;
use crate::backend::{Device, Norm, Pass};
use crate::cpu::Geometry;
use tiller_formats::Quant;
use tiller_kernels::{Act, Gpu, Heads, KvCache, Matrix, Recorder, Rope, TapRows, Vector};
use tiller_model::ModelConfig;

impl Device for Gpu {
    type Matrix = Matrix;
    type Vector = Vector;

    fn matrix(&self, quant: Quant, rows: u32, cols: u32) -> Result<Matrix, EngineError> {
        Ok(Matrix::new(self, quant, rows, cols)?)
    }

    fn write_rows(&self, matrix: &mut Matrix, first_row: u32, bytes: &[u8]) -> Result<(), EngineError> {
        Ok(matrix.write_rows(first_row, bytes)?)
    }

    fn vector(&self, values: &[f32]) -> Result<Vector, EngineError> {
        Ok(Vector::new(self, values)?)
    }
}

/// What attention works on, on the GPU.
pub(crate) struct GpuAttention {
    pub kv: KvCache,
    pub heads: Heads,
    pub rope: Rope,
}

impl GpuAttention {
    pub fn new(
        gpu: &Gpu,
        config: &ModelConfig,
        geometry: &Geometry,
        kv_rows: u32,
    ) -> Result<GpuAttention, EngineError> {
        let heads = Heads {
            heads: config.heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            scale: geometry.scale(),
            soft_cap: None,
            window: None,
        };
        let rope = Rope {
            interleaved: geometry.interleaved,
            dims: config.rope.dims,
            inverse_frequencies: Vector::new(gpu, &geometry.inverse_frequencies)?,
        };
        Ok(GpuAttention { kv: KvCache::new(gpu, config.layers, kv_rows, geometry.kv_width() as u32)?, heads, rope })
    }
}

/// A pass that is being recorded.
pub(crate) struct GpuPass<'a> {
    pub recorder: Recorder,
    pub attention: &'a GpuAttention,
    /// By slot.
    pub edits: Vec<Vector>,
}

impl Pass for GpuPass<'_> {
    type Device = Gpu;
    type Act = Act;

    fn embed(&mut self, table: &Matrix) -> Result<Act, EngineError> {
        Ok(self.recorder.embed(table))
    }

    fn norm(&mut self, x: &Act, norm: &Norm<Vector>) -> Result<Act, EngineError> {
        Ok(self.recorder.rms_norm(x, &norm.gain, norm.epsilon))
    }

    fn linear(
        &mut self,
        x: &Act,
        norm: Option<&Norm<Vector>>,
        w: &[Matrix],
        bias: Option<&Vector>,
    ) -> Result<Act, EngineError> {
        Ok(self.recorder.linear(x, w, bias, norm.map(|norm| (&norm.gain, norm.epsilon).into())))
    }

    fn linear_add(&mut self, x: &Act, w: &Matrix, bias: Option<&Vector>, into: Act) -> Result<Act, EngineError> {
        Ok(self.recorder.linear_add(x, w, bias, into))
    }

    fn scale_columns(&mut self, x: Act, factors: &Vector) -> Result<Act, EngineError> {
        Ok(self.recorder.scale_columns(x, factors))
    }

    fn add(&mut self, a: &Act, into: Act) -> Result<Act, EngineError> {
        Ok(self.recorder.add(a, into))
    }

    fn rotate_and_append(&mut self, qkv: Act, layer: usize) -> Result<Act, EngineError> {
        let GpuAttention { kv, heads, rope } = self.attention;
        Ok(self.recorder.rope_append(qkv, rope, kv, layer as u32, heads))
    }

    fn attention(&mut self, qkv: &Act, layer: usize) -> Result<Act, EngineError> {
        let GpuAttention { kv, heads, .. } = self.attention;
        Ok(self.recorder.attention(qkv, kv, layer as u32, heads))
    }

    fn swiglu(&mut self, gate_up: &Act) -> Result<Act, EngineError> {
        Ok(self.recorder.swiglu(gate_up))
    }

    fn pick_rows(&mut self, x: &Act) -> Result<Act, EngineError> {
        Ok(self.recorder.pick_rows(x))
    }

    fn add_vector(&mut self, x: Act, slot: usize) -> Result<Act, EngineError> {
        Ok(self.recorder.add_vector(x, &self.edits[slot], slot as u32))
    }

    fn tap(&mut self, x: &Act, rows: TapRows) -> Result<(), EngineError> {
        self.recorder.tap(x, rows);
        Ok(())
    }

    fn draw(&mut self, logits: &Act, alternatives: bool) -> Result<(), EngineError> {
        self.recorder.sample(logits, alternatives);
        Ok(())
    }
}
