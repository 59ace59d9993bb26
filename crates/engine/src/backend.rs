//! What a backend does: the fused steps between activation sites.

use crate::EngineError;
use crate::features::FeatureReading;
use std::ops::Range;
use tiller_formats::Quant;
use tiller_kernels::TapRows;
use tiller_model::{Activation, NormKind};
use tiller_sites::Site;

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

/// A norm of each row: see [`NormKind`].
pub struct Norm<V> {
    pub kind: NormKind,
    pub gain: V,
    pub bias: Option<V>,
    pub epsilon: f32,
}

/// RMS norms of each head of queries and keys, by gains `[head_dim]`.
pub struct HeadNorms<V> {
    pub q: V,
    pub k: V,
    pub epsilon: f32,
}

/// One pass over the rows of a step. An activation `Act` is `[rows, width]`, f32. On the CPU an operation computes; on
/// the GPU it records.
pub trait Pass {
    type Device: Device;
    type Act;

    /// The rows of `table` that the step's tokens name, times `scale`.
    fn embed(&mut self, table: &Matrix<Self>, scale: f32) -> Result<Self::Act, EngineError>;

    /// `x + table[position]`.
    fn add_positions(&mut self, x: Self::Act, table: &Matrix<Self>) -> Result<Self::Act, EngineError>;

    fn norm(&mut self, x: &Self::Act, norm: &Norm<Vector<Self>>) -> Result<Self::Act, EngineError>;

    /// What `norm` divides each row by: `[rows, 1]`.
    fn norm_scale(&mut self, x: &Self::Act, norm: &Norm<Vector<Self>>) -> Result<Self::Act, EngineError>;

    /// `x` (centred, by a LayerNorm) over `scale`.
    fn divide_by_scale(
        &mut self,
        x: &Self::Act,
        scale: &Self::Act,
        norm: &Norm<Vector<Self>>,
    ) -> Result<Self::Act, EngineError>;

    /// Every column times the norm's gain, plus its bias.
    fn gain(&mut self, x: Self::Act, norm: &Norm<Vector<Self>>) -> Result<Self::Act, EngineError>;

    /// `into + norm(a)`.
    fn add_normed(
        &mut self,
        a: &Self::Act,
        norm: &Norm<Vector<Self>>,
        into: Self::Act,
    ) -> Result<Self::Act, EngineError>;

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

    /// `into + a`.
    fn add(&mut self, a: &Self::Act, into: Self::Act) -> Result<Self::Act, EngineError>;

    /// Norms the heads of queries and keys, rotates them by their positions (each where the model does), and appends keys
    /// and values to layer `layer` of the KV cache. `qkv` is `[rows, queries | keys | values]`.
    fn rotate_and_append(
        &mut self,
        qkv: Self::Act,
        norms: Option<&HeadNorms<Vector<Self>>>,
        layer: usize,
    ) -> Result<Self::Act, EngineError>;

    /// The norms and rotations of [`Pass::rotate_and_append`] alone: of queries and keys, in place.
    fn rotate(
        &mut self,
        qkv: Self::Act,
        norms: Option<&HeadNorms<Vector<Self>>>,
        layer: usize,
    ) -> Result<Self::Act, EngineError>;

    /// Appends keys and values, as they are, to layer `layer` of the KV cache.
    fn append(&mut self, qkv: Self::Act, layer: usize) -> Result<Self::Act, EngineError>;

    /// Causal attention of the queries in `qkv` over their sequences: `[rows, heads * head_dim]`.
    fn attention(&mut self, qkv: &Self::Act, layer: usize) -> Result<Self::Act, EngineError>;

    /// Attention's scores: `[rows, heads * keys]`, entry k of a head that of the key at position k of the row's
    /// sequence. What a row may not see has a very low score.
    fn attention_scores(&mut self, qkv: &Self::Act, layer: usize, keys: u32) -> Result<Self::Act, EngineError>;

    /// The softmax of each head's scores over what the row may see; 0 elsewhere.
    fn attention_softmax(&mut self, scores: Self::Act, layer: usize, keys: u32) -> Result<Self::Act, EngineError>;

    /// The values mixed by `pattern`: `[rows, heads * head_dim]`.
    fn attention_mix(&mut self, pattern: &Self::Act, layer: usize, keys: u32) -> Result<Self::Act, EngineError>;

    /// What each head's part of `z` gives by its columns of `out`: `[rows, heads * d_model]`.
    fn head_results(&mut self, z: &Self::Act, out: &Matrix<Self>) -> Result<Self::Act, EngineError>;

    /// The sum over heads, plus bias: `[rows, d_model]`.
    fn sum_heads(&mut self, results: &Self::Act, bias: Option<&Vector<Self>>) -> Result<Self::Act, EngineError>;

    /// `act(gate) * up` of `[gate | up]`.
    fn gated(&mut self, gate_up: &Self::Act, activation: Activation) -> Result<Self::Act, EngineError>;

    fn activate(&mut self, x: &Self::Act, activation: Activation) -> Result<Self::Act, EngineError>;

    /// `cap * tanh(x / cap)`.
    fn soft_cap(&mut self, x: Self::Act, cap: f32) -> Result<Self::Act, EngineError>;

    /// Only the rows that the step picks.
    fn pick_rows(&mut self, x: &Self::Act) -> Result<Self::Act, EngineError>;

    /// Finds out for which rows the condition of edit `slot`, which reads a token, holds.
    fn open_gate_on_tokens(&mut self, slot: usize) -> Result<(), EngineError>;

    /// Finds out for which rows the condition of edit `slot`, which reads `x`, holds.
    fn open_gate(&mut self, x: &Self::Act, slot: usize) -> Result<(), EngineError>;

    /// Makes edit `slot` in the rows that say that it acts on them.
    fn edit(&mut self, x: Self::Act, slot: usize) -> Result<Self::Act, EngineError>;

    /// Hands out a copy of the columns of `x` that `site` takes, in the order of the calls.
    fn tap(&mut self, x: &Self::Act, site: Site, columns: Range<u32>, rows: TapRows) -> Result<(), EngineError>;

    /// Hands out the strongest features of the columns of `x` that the reading's site takes, `[rows, most, 2]`: number
    /// and value, descending, zeros at the end; in the order of the taps.
    fn strongest_features(
        &mut self,
        x: &Self::Act,
        columns: Range<u32>,
        reading: &FeatureReading,
    ) -> Result<(), EngineError>;

    /// Hands out, for each row of `logits`, those of `tokens` (each once), and then the logarithm of the sum of the
    /// exponentials of all: `[rows, tokens + 1]`.
    fn tap_logits(&mut self, logits: &Self::Act, tokens: &[u32]) -> Result<(), EngineError>;

    /// Remembers the step's tokens at their places, for [`Pass::penalise`].
    fn remember_tokens(&mut self) -> Result<(), EngineError>;

    /// Divides positive logits of every token that the row's sequence has so far by `penalty`, multiplies negative ones.
    fn penalise(&mut self, logits: Self::Act, penalty: f32) -> Result<Self::Act, EngineError>;

    /// Draws a token from each row of `logits` (picked rows, or all of them).
    fn draw(&mut self, logits: &Self::Act, alternatives: bool) -> Result<(), EngineError>;
}

pub type Matrix<P> = <<P as Pass>::Device as Device>::Matrix;
pub type Vector<P> = <<P as Pass>::Device as Device>::Vector;
