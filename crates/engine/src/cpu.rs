//! The CPU backend: candle tensors, f32 arithmetic on dequantised weights.
//!
//! It is the fallback where there is no WebGPU, and the oracle that the GPU backend is tested against. Weights stay
//! quantised in memory and are dequantised a few rows at a time. candle's own quantised product is not used: it also
//! rounds the *activations* to eight bits, which moves the residual stream by several per cent.

mod attention;
mod edits;
mod matrix;
mod pass;

pub(crate) use attention::{CpuKv, Geometry, Rotation};
pub(crate) use edits::Latches;
pub(crate) use matrix::CpuMatrix;
pub(crate) use pass::{CpuPass, StepState};

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
