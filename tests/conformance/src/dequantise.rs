//! Random rows in every format, and what candle makes of them.

use std::borrow::Cow;

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use half::f16;
use tiller_kernels::Quant;

use crate::numbers::Numbers;

/// Random rows of a format: the bytes of a GGUF file, and the numbers that candle reads from them.
pub struct Weights {
    pub bytes: Vec<u8>,
    pub values: Vec<f32>,
}

/// Columns to test a format with: floats may have any number, blocks only whole ones. Odd numbers of blocks included.
pub fn widths(quant: Quant) -> &'static [usize] {
    match quant.block().0 {
        1 => &[1, 3, 63, 65, 577],
        32 => &[32, 96, 576],
        _ => &[256, 768],
    }
}

/// `rows` random rows of `cols` weights each.
pub fn random(quant: Quant, rows: usize, cols: usize, numbers: &mut Numbers) -> Result<Weights, String> {
    let (elements, block_bytes) = quant.block();
    let mut bytes: Vec<u8> = Vec::with_capacity(rows * cols / elements * block_bytes);
    for _ in 0..rows * cols / elements {
        let start = bytes.len();
        match quant {
            Quant::F32 => bytes.extend(numbers.signed().to_le_bytes()),
            Quant::F16 => bytes.extend(f16::from_f32(numbers.signed()).to_le_bytes()),
            Quant::BF16 => bytes.extend(half::bf16::from_f32(numbers.signed()).to_le_bytes()),
            _ => bytes.extend((0..block_bytes).map(|_| numbers.word() as u8)),
        }
        // Random bits in a half would be infinite or NaN now and then.
        for &at in halves(quant) {
            let scale = f16::from_f32(0.05 * numbers.signed());
            bytes[start + at..start + at + 2].copy_from_slice(&scale.to_le_bytes());
        }
    }
    let values = candle(quant, &bytes, rows, cols)?;
    Ok(Weights { bytes, values })
}

/// Where the halves lie in a block.
fn halves(quant: Quant) -> &'static [usize] {
    match quant {
        Quant::F32 | Quant::F16 | Quant::BF16 => &[],
        Quant::Q4_0 | Quant::Q5_0 | Quant::Q8_0 => &[0],
        Quant::Q4_1 | Quant::Q5_1 | Quant::Q4K | Quant::Q5K => &[0, 2],
        Quant::Q2K => &[80, 82],
        Quant::Q3K => &[108],
        Quant::Q6K => &[208],
    }
}

fn candle(quant: Quant, bytes: &[u8], rows: usize, cols: usize) -> Result<Vec<f32>, String> {
    let dtype = match quant {
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
    };
    let read = || -> candle_core::Result<Vec<f32>> {
        let storage = QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, dtype)?;
        QTensor::new(storage, (rows, cols))?.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1()
    };
    read().map_err(|error| format!("candle cannot read {quant:?}: {error}"))
}
