//! The CPU backend: candle tensors, and products of our own with weights that stay quantised in memory.
//!
//! It is the fallback where there is no WebGPU, and the oracle that the GPU backend is tested against. Weights are
//! unpacked in registers (`dot.rs`, for a few rows of activations) or a few rows at a time (`panel.rs`, for many), and
//! multiplied in f32. candle's own quantised product is not used: it also rounds the *activations* to eight bits, which
//! moves the residual stream by several per cent.

mod attention;
mod blocks;
mod dot;
mod edits;
mod features;
mod fused_attention;
mod matrix;
mod norm;
mod operand;
mod panel;
mod pass;
mod simd;
mod team;

pub(crate) use attention::{CpuKv, Geometry, Rotation};
pub(crate) use edits::Latches;
pub(crate) use matrix::{CpuMatrix, Way, multiply};
pub(crate) use pass::{CpuPass, StepState};
pub use team::{SharedMemory, Team, work_as_lane};

use crate::EngineError;
use crate::backend::Device;
use candle_core::Tensor;
use tiller_formats::Quant;

pub(crate) struct Cpu;

impl Device for Cpu {
    type Matrix = CpuMatrix;
    type Vector = Tensor;

    fn matrix(&self, quant: Quant, rows: u32, cols: u32) -> Result<CpuMatrix, EngineError> {
        Ok(CpuMatrix::new(quant, rows as usize, cols as usize))
    }

    fn write_rows(&self, matrix: &mut CpuMatrix, first_row: u32, bytes: &[u8]) -> Result<(), EngineError> {
        matrix.push_rows(first_row as usize, bytes);
        Ok(())
    }

    fn vector(&self, values: &[f32]) -> Result<Tensor, EngineError> {
        Ok(Tensor::new(values, &candle_core::Device::Cpu)?)
    }
}
