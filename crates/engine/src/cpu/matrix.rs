//! A quantised weight matrix in memory.

use crate::{EngineError, parallel};
use candle_core::{Device, Tensor};
use tiller_formats::{Quant, dequantise};

/// Rows dequantised at once: at a width of 576 they take 147 kB as f32, which stays in a core's cache.
const BLOCK_ROWS: usize = 64;

/// Up to this many rows of activations a plain dot product is quicker than a blocked matrix product.
const FEW_ROWS: usize = 4;

/// `[rows (outputs), cols (inputs)]`, in the file's own bytes.
pub(crate) struct CpuMatrix {
    quant: Quant,
    rows: usize,
    cols: usize,
    row_bytes: usize,
    bytes: Vec<u8>,
}

impl CpuMatrix {
    /// `cols` is a whole number of blocks: the model's configuration was checked.
    pub fn new(quant: Quant, rows: usize, cols: usize) -> CpuMatrix {
        let row_bytes = quant.row_bytes(cols).expect("a checked matrix has whole blocks");
        CpuMatrix { quant, rows, cols, row_bytes, bytes: Vec::with_capacity(rows * row_bytes) }
    }

    pub fn push_rows(&mut self, first_row: usize, bytes: &[u8]) {
        assert_eq!(first_row * self.row_bytes, self.bytes.len(), "rows are written in their order");
        self.bytes.extend_from_slice(bytes);
    }

    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Rows `first .. first + count` as f32, one after the other.
    fn dequantised(&self, first: usize, count: usize) -> Vec<f32> {
        let bytes = &self.bytes[first * self.row_bytes..(first + count) * self.row_bytes];
        dequantise(self.quant, bytes, count * self.cols)
    }

    /// The rows that `ids` name: `[ids, cols]`. Every id is below `rows`.
    pub fn gather(&self, ids: &[u32]) -> Result<Tensor, EngineError> {
        let values: Vec<f32> = ids.iter().flat_map(|&id| self.dequantised(id as usize, 1)).collect();
        Ok(Tensor::from_vec(values, (ids.len(), self.cols), &Device::Cpu)?)
    }

    /// `x W^T`: `[n, cols]` to `[n, rows]`.
    pub fn multiply(&self, x: &Tensor) -> Result<Tensor, EngineError> {
        let n = x.dim(0)?;
        let blocks = self.rows.div_ceil(BLOCK_ROWS);
        let flat = if n <= FEW_ROWS { x.flatten_all()?.to_vec1::<f32>()? } else { Vec::new() };
        let columns = parallel::map(blocks, |block| -> Result<Tensor, candle_core::Error> {
            let first = block * BLOCK_ROWS;
            let count = BLOCK_ROWS.min(self.rows - first);
            let w = self.dequantised(first, count);
            if n <= FEW_ROWS {
                let products = flat.chunks_exact(self.cols).flat_map(|x| w.chunks_exact(self.cols).map(|w| dot(x, w)));
                return Tensor::from_vec(products.collect::<Vec<f32>>(), (n, count), &Device::Cpu);
            }
            x.matmul(&Tensor::from_vec(w, (count, self.cols), &Device::Cpu)?.t()?)
        });
        let columns = columns.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::cat(&columns, 1)?)
    }
}

/// The dot product in eight running sums, which the compiler turns into vector instructions.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + rest
}
