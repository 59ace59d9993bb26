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
///
/// llama.cpp's converter reorders the rows of a Llama model's queries and keys, so that the two components of a rotated
/// pair lie side by side. Here they come in the order that they were trained in, and that everybody else knows.
#[derive(Debug)]
pub struct GgufCheckpoint<S> {
    offsets: BTreeMap<String, u64>,
    tensors: BTreeMap<String, TensorShape>,
    /// Components of a head of queries or keys, where the file has their pairs side by side.
    paired: Option<usize>,
    source: S,
}

impl<S> GgufCheckpoint<S> {
    /// `gguf` is the header of `source`.
    pub fn new(gguf: &Gguf, source: S) -> GgufCheckpoint<S> {
        let tensors = gguf.tensors.iter();
        let shapes = tensors.map(|(name, t)| (name.clone(), TensorShape { shape: t.shape.clone(), quant: t.quant }));
        let tensors = shapes.collect();
        let offsets = gguf.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.offset)).collect();
        GgufCheckpoint { offsets, tensors, paired: paired_head(gguf).map(|size| size as usize), source }
    }

    /// Components of a head, where the tensor's rows are in pairs.
    fn paired(&self, name: &str) -> Option<usize> {
        let part = name.rsplit_once('.').map(|(tensor, _)| tensor);
        let reordered = part.is_some_and(|tensor| tensor.ends_with(".attn_q") || tensor.ends_with(".attn_k"));
        self.paired.filter(|_| reordered)
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
        let read = async |rows: Range<usize>, row_bytes: usize| {
            self.source.read_at(offset + (rows.start * row_bytes) as u64, rows.len() * row_bytes).await
        };
        let Some(head) = self.paired(name) else {
            return Ok(read(rows, row_bytes).await?);
        };
        // A bias is a row of numbers; what is reordered is the numbers.
        let (rows, row_bytes) = match tensor.shape.len() {
            1 => (0..tensor.cols(), row_bytes / tensor.cols()),
            _ => (rows, row_bytes),
        };
        let heads = rows.start / head * head..rows.end.div_ceil(head) * head;
        let bytes = read(heads.clone(), row_bytes).await?;
        let stored = |row: usize| &bytes[(paired_row(row, head) - heads.start) * row_bytes..][..row_bytes];
        Ok(rows.flat_map(stored).copied().collect())
    }
}

/// Components of a head of queries, where the file has the pairs of a rotation side by side.
pub(crate) fn paired_head(gguf: &Gguf) -> Option<u32> {
    let get = |key: &str| gguf.metadata.find_u32(&format!("llama.{key}")).ok().flatten();
    if gguf.metadata.get_str("general.architecture").ok()? != "llama" {
        return None;
    }
    let heads = get("attention.head_count").filter(|&heads| heads > 0)?;
    let head = get("attention.key_length").or_else(|| Some(get("embedding_length")? / heads))?;
    let rotated = get("rope.dimension_count").unwrap_or(head);
    let whole = |part: &str| {
        let tensors = gguf.tensors.iter().filter(|(name, _)| name.contains(part));
        tensors.clone().all(|(_, tensor)| tensor.shape[0].is_multiple_of(head as usize))
    };
    // Where only a part of a head is rotated, it is not known how a converter has reordered it.
    (head > 0 && head == rotated && head.is_multiple_of(2) && whole(".attn_q.") && whole(".attn_k.")).then_some(head)
}

/// Where the file has row `row`: of each head's halves, component i of one lies beside component i of the other.
fn paired_row(row: usize, head: usize) -> usize {
    let (first, at) = (row / head * head, row % head);
    first + 2 * (at % (head / 2)) + at / (head / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_side_by_side_come_apart_into_halves() {
        let order: Vec<usize> = (0..12).map(|row| paired_row(row, 6)).collect();
        assert_eq!(order, [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]);
    }
}
