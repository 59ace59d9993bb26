//! What a backend does: the fused steps between activation sites.

use crate::EngineError;
use tiller_formats::Quant;
use tiller_kernels::TapRows;

/// Where weights live.
pub trait Device {
    /// A weight matrix `[rows (outputs), cols (inputs)]`, as quantised as its file.
    type Matrix;
    /// `f32` numbers: a norm's gain, a bias, a steering vector.
    type Vector;

    fn matrix(&self, quant: Quant, rows: u32, cols: u32) -> Result<Self::Matrix, EngineError>;

    /// Writes whole rows, as the file has them. Calls come in the order of the rows and do not overlap.
    fn write_rows(&self, matrix: &mut Self::Matrix, first_row: u32, bytes: &[u8]) -> Result<(), EngineError>;

    fn vector(&self, values: &[f32]) -> Result<Self::Vector, EngineError>;
}

/// An RMS norm: `x / sqrt(mean(x^2) + epsilon) * gain`.
pub struct Norm<V> {
    pub gain: V,
    pub epsilon: f32,
}

/// One pass over the rows of a step. An activation `Act` is `[rows, width]`, f32. On the CPU an operation computes; on
/// the GPU it records.
pub trait Pass {
    type Device: Device;
    type Act;

    /// The rows of `table` that the step's tokens name.
    fn embed(&mut self, table: &Matrix<Self>) -> Result<Self::Act, EngineError>;

    fn norm(&mut self, x: &Self::Act, norm: &Norm<Vector<Self>>) -> Result<Self::Act, EngineError>;

    /// `W norm(x) + bias`, the outputs of several matrices side by side.
    fn linear(
        &mut self,
        x: &Self::Act,
        norm: Option<&Norm<Vector<Self>>>,
        w: &[Matrix<Self>],
        bias: Option<&Vector<Self>>,
    ) -> Result<Self::Act, EngineError>;

    /// `into + W x + bias`.
    fn linear_add(
        &mut self,
        x: &Self::Act,
        w: &Matrix<Self>,
        bias: Option<&Vector<Self>>,
        into: Self::Act,
    ) -> Result<Self::Act, EngineError>;

    /// Every column `i` of `x` times `factors[i]`.
    fn scale_columns(&mut self, x: Self::Act, factors: &Vector<Self>) -> Result<Self::Act, EngineError>;

    /// `into + a`.
    fn add(&mut self, a: &Self::Act, into: Self::Act) -> Result<Self::Act, EngineError>;

    /// Rotates queries and keys by their positions and appends keys and values to layer `layer` of the KV cache.
    fn rotate_and_append(&mut self, qkv: Self::Act, layer: usize) -> Result<Self::Act, EngineError>;

    /// Causal attention of the queries in `qkv` over their sequences: `[rows, heads * head_dim]`.
    fn attention(&mut self, qkv: &Self::Act, layer: usize) -> Result<Self::Act, EngineError>;

    /// `silu(gate) * up` of `[gate | up]`.
    fn swiglu(&mut self, gate_up: &Self::Act) -> Result<Self::Act, EngineError>;

    /// Only the rows that the step picks.
    fn pick_rows(&mut self, x: &Self::Act) -> Result<Self::Act, EngineError>;

    /// `x + coefficient[slot] * vector` in the rows that say that edit `slot` acts on them.
    fn add_vector(&mut self, x: Self::Act, slot: usize) -> Result<Self::Act, EngineError>;

    /// Hands out a copy of `x`, in the order of the calls.
    fn tap(&mut self, x: &Self::Act, rows: TapRows) -> Result<(), EngineError>;

    /// Draws a token from each row of `logits` (picked rows, or all of them).
    fn draw(&mut self, logits: &Self::Act, alternatives: bool) -> Result<(), EngineError>;
}

pub type Matrix<P> = <<P as Pass>::Device as Device>::Matrix;
pub type Vector<P> = <<P as Pass>::Device as Device>::Vector;
