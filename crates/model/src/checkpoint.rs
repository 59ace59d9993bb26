//! Where a model's weights are, whatever the format of its files.

use std::collections::BTreeMap;
use std::ops::Range;
use tiller_formats::{ByteSource, Gguf, Quant};

/// A model's tensors under GGUF's names (`blk.3.attn_q.weight`), wherever they lie.
///
/// Reading is asynchronous because a browser's storage is. Futures need not be `Send`.
#[allow(async_fn_in_trait)]
pub trait Checkpoint {
    fn tensors(&self) -> &BTreeMap<String, TensorShape>;

    /// Whole rows of a tensor, as its number format has them. A vector is one row. Panics where the tensor has no such
    /// rows: the configuration was checked against [`Checkpoint::tensors`].
    async fn read_rows(&self, name: &str, rows: Range<usize>) -> Result<Vec<u8>, CheckpointError>;
}

/// The shape of a tensor and its number format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorShape {
    /// Matrices are `[outputs, inputs]`, vectors `[n]`.
    pub shape: Vec<usize>,
    pub quant: Quant,
}

impl TensorShape {
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Rows of a matrix; 1 for a vector.
    pub fn rows(&self) -> usize {
        match self.shape.as_slice() {
            [_] => 1,
            [rows, ..] => *rows,
            [] => 0,
        }
    }

    /// Numbers in a row.
    pub fn cols(&self) -> usize {
        self.elements() / self.rows().max(1)
    }

    /// Bytes of a row; `None` where the row is not whole blocks of the format.
    pub fn row_bytes(&self) -> Option<usize> {
        self.quant.row_bytes(self.cols())
    }

    /// Bytes of the tensor.
    pub fn bytes(&self) -> u64 {
        self.row_bytes().unwrap_or(0) as u64 * self.rows() as u64
    }
}

/// Why weights cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("the model's file could not be read ({0}): fetch it again")]
    Read(#[from] std::io::Error),
    #[error("the model has no tensor \"{name}\": choose another conversion of it")]
    Missing { name: String },
}

/// The weights in a GGUF file.
#[derive(Debug)]
pub struct GgufCheckpoint<S> {
    offsets: BTreeMap<String, u64>,
    tensors: BTreeMap<String, TensorShape>,
    source: S,
}

impl<S> GgufCheckpoint<S> {
    /// `gguf` is the header of `source`.
    pub fn new(gguf: &Gguf, source: S) -> GgufCheckpoint<S> {
        let tensors = gguf.tensors.iter();
        let shapes = tensors.map(|(name, t)| (name.clone(), TensorShape { shape: t.shape.clone(), quant: t.quant }));
        let tensors = shapes.collect();
        let offsets = gguf.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.offset)).collect();
        GgufCheckpoint { offsets, tensors, source }
    }
}

impl<S: ByteSource> Checkpoint for GgufCheckpoint<S> {
    fn tensors(&self) -> &BTreeMap<String, TensorShape> {
        &self.tensors
    }

    async fn read_rows(&self, name: &str, rows: Range<usize>) -> Result<Vec<u8>, CheckpointError> {
        let missing = || CheckpointError::Missing { name: name.chars().take(100).collect() };
        let tensor = self.tensors.get(name).ok_or_else(missing)?;
        let offset = self.offsets[name];
        let row_bytes = tensor.row_bytes().ok_or_else(missing)?;
        Ok(self.source.read_at(offset + (rows.start * row_bytes) as u64, rows.len() * row_bytes).await?)
    }
}
