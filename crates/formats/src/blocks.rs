//! Quantised blocks to numbers and back, by candle's kernels.

use crate::Quant;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{CpuStorage, Device, Tensor};
use std::borrow::Cow;

/// The numbers that `bytes` hold: `elements` of them, in whole blocks of `quant`.
///
/// # Panics
/// Where `bytes` is not as long as `elements` are: a [`TensorInfo`](crate::TensorInfo) says how long its tensor is.
pub fn dequantise(quant: Quant, bytes: &[u8], elements: usize) -> Vec<f32> {
    assert_eq!(quant.row_bytes(elements), Some(bytes.len()), "{elements} elements of {quant} in {} bytes", bytes.len());
    // candle reads blocks in place and insists on their alignment, which a slice of a file need not have.
    let aligned: Vec<u32>;
    let bytes = match bytes.as_ptr().align_offset(align_of::<f32>()) {
        0 => bytes,
        _ => {
            let mut words = vec![0u32; bytes.len().div_ceil(4)];
            bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
            aligned = words;
            &bytemuck::cast_slice(&aligned)[..bytes.len()]
        }
    };
    match candle_type(quant).from_data(Cow::Borrowed(bytes)).dequantize(elements) {
        Ok(CpuStorage::F32(numbers)) => numbers,
        other => unreachable!("candle dequantises whole blocks to f32, not to {other:?}"),
    }
}

/// The bytes that hold `numbers`; `None` where they are not a whole number of blocks.
pub fn quantise(quant: Quant, numbers: &[f32]) -> Option<Vec<u8>> {
    quant.row_bytes(numbers.len())?;
    let tensor = Tensor::from_slice(numbers, numbers.len(), &Device::Cpu).ok()?;
    Some(QTensor::quantize(&tensor, candle_type(quant)).ok()?.data().ok()?.into_owned())
}

fn candle_type(quant: Quant) -> GgmlDType {
    match quant {
        Quant::F32 => GgmlDType::F32,
        Quant::F16 => GgmlDType::F16,
        Quant::BF16 => GgmlDType::BF16,
        Quant::Q4_0 => GgmlDType::Q4_0,
        Quant::Q4_1 => GgmlDType::Q4_1,
        Quant::Q5_0 => GgmlDType::Q5_0,
        Quant::Q5_1 => GgmlDType::Q5_1,
        Quant::Q8_0 => GgmlDType::Q8_0,
        Quant::Q2K => GgmlDType::Q2K,
        Quant::Q3K => GgmlDType::Q3K,
        Quant::Q4K => GgmlDType::Q4K,
        Quant::Q5K => GgmlDType::Q5K,
        Quant::Q6K => GgmlDType::Q6K,
    }
}
