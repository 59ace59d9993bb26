//! A weight matrix on the device.

use std::sync::Arc;

use tiller_formats::Quant;

use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::memory::Memory;
use crate::packing::{Packing, pack_row};

/// Bytes that one upload repacks at a time.
const UPLOAD: usize = 1 << 20;

/// A weight matrix `[rows (outputs), cols (inputs)]`, kept in its format and split by rows where the device cannot bind
/// it whole. A clone is a handle to the same weights.
#[derive(Clone, Debug)]
pub struct Matrix(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    gpu: Gpu,
    quant: Quant,
    rows: u32,
    cols: u32,
    shards: Vec<Shard>,
}

/// A run of rows that the device can bind.
#[derive(Debug)]
pub(crate) struct Shard {
    pub first_row: u32,
    pub rows: u32,
    pub quants: Arc<Memory>,
    pub scales: Option<Arc<Memory>>,
}

impl Matrix {
    /// Allocates a matrix; [`Matrix::write_rows`] fills it. Errors where a row is no whole number of blocks, where a
    /// single row exceeds what the device can bind, or where its memory is exhausted.
    pub fn new(gpu: &Gpu, quant: Quant, rows: u32, cols: u32) -> Result<Matrix, GpuError> {
        if rows == 0 || cols == 0 || quant.row_bytes(cols as usize).is_none() {
            return Err(GpuError::Validation(format!("a {quant:?} matrix cannot be {rows} by {cols}")));
        }
        let packing = Packing::of(quant);
        let quant_bytes = packing.quant_words(cols as usize) as u64 * 4;
        let scale_bytes = packing.scale_words(cols as usize) as u64 * 4;
        let limit = gpu.binding_limit();
        let row_bytes = quant_bytes.max(scale_bytes);
        if row_bytes > limit {
            return Err(GpuError::TooLarge { what: "one row of a matrix".to_owned(), bytes: row_bytes, limit });
        }
        let shard_rows = gpu.shard_rows(row_bytes).min(u64::from(rows)) as u32;
        let shards = (0..rows)
            .step_by(shard_rows as usize)
            .map(|first_row| {
                let rows = shard_rows.min(rows - first_row);
                let allocate = |bytes: u64| gpu.storage("a matrix", bytes * u64::from(rows)).map(Arc::new);
                let scales = if scale_bytes > 0 { Some(allocate(scale_bytes)?) } else { None };
                Ok(Shard { first_row, rows, quants: allocate(quant_bytes)?, scales })
            })
            .collect::<Result<Vec<Shard>, GpuError>>()?;
        Ok(Matrix(Arc::new(Inner { gpu: gpu.clone(), quant, rows, cols, shards })))
    }

    /// Writes whole rows, given as their bytes in a GGUF file, from `first_row` on. Called with block after block, so
    /// that a matrix streams in. Errors where `bytes` is no whole number of rows or runs past the end.
    pub fn write_rows(&self, first_row: u32, bytes: &[u8]) -> Result<(), GpuError> {
        let Inner { gpu, quant, rows, cols, shards } = &*self.0;
        let row_bytes = quant.row_bytes(*cols as usize).unwrap_or(bytes.len()).max(1);
        let count = bytes.len() / row_bytes;
        if count * row_bytes != bytes.len() || u64::from(first_row) + count as u64 > u64::from(*rows) {
            return Err(GpuError::Validation(format!(
                "{} bytes from row {first_row} do not fit a {quant:?} matrix of {rows} by {cols}",
                bytes.len()
            )));
        }
        let packing = Packing::of(*quant);
        let end = first_row + count as u32;
        for shard in shards {
            let from = first_row.max(shard.first_row);
            let to = end.min(shard.first_row + shard.rows);
            if from >= to {
                continue;
            }
            let part = &bytes[(from - first_row) as usize * row_bytes..(to - first_row) as usize * row_bytes];
            let rows_at_once = (UPLOAD / row_bytes).max(1);
            for (index, block) in part.chunks(rows_at_once * row_bytes).enumerate() {
                let (mut quants, mut scales) = (Vec::new(), Vec::new());
                for row in block.chunks_exact(row_bytes) {
                    pack_row(*quant, row, &mut quants, &mut scales);
                }
                let row = u64::from(from - shard.first_row) + (index * rows_at_once) as u64;
                let at = |words: usize| row * words as u64 * 4;
                let offset = at(packing.quant_words(*cols as usize));
                gpu.write(&shard.quants, offset, bytemuck::cast_slice(&quants));
                if let Some(memory) = &shard.scales {
                    let offset = at(packing.scale_words(*cols as usize));
                    gpu.write(&memory, offset, bytemuck::cast_slice(&scales));
                }
            }
        }
        // Natively a write is staged until the next submit: without one, a whole model would be staged at once.
        gpu.queue().submit([]);
        gpu.check()
    }

    pub fn rows(&self) -> u32 {
        self.0.rows
    }

    pub fn cols(&self) -> u32 {
        self.0.cols
    }

    pub fn quant(&self) -> Quant {
        self.0.quant
    }

    /// Bytes that the matrix takes on the device.
    pub fn bytes(&self) -> u64 {
        let scales = |shard: &Shard| shard.scales.as_ref().map_or(0, |scales| scales.bytes());
        self.0.shards.iter().map(|shard| shard.quants.bytes() + scales(shard)).sum()
    }

    pub(crate) fn shards(&self) -> &[Shard] {
        &self.0.shards
    }
}
