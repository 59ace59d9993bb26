//! The tensors of an SAE, by name, whatever file held them.

use super::error::{SaeFileError, shown};
use crate::{ByteSource, Dtype, Safetensors, dequantise};
use std::collections::BTreeMap;

/// A tensor in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct FileTensor {
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// As many as the shape says.
    pub numbers: Vec<f32>,
}

/// What a file holds, taken one by one; what nobody takes is refused at the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileTensors(pub BTreeMap<String, FileTensor>);

impl FileTensors {
    /// All tensors of a safetensors file.
    pub async fn from_safetensors(source: &impl ByteSource) -> Result<FileTensors, SaeFileError> {
        let mut tensors = BTreeMap::new();
        for (name, stored) in Safetensors::read(source).await?.tensors {
            let quant = match stored.dtype {
                Dtype::Float(quant) => quant,
                Dtype::Other(dtype) => {
                    return Err(SaeFileError::Type { name: shown(&name), dtype: shown(&dtype) });
                }
            };
            let bytes = source.read_at(stored.offset, stored.bytes as usize).await?;
            // Checked with the header: as many bytes as the shape says.
            let elements = stored.shape.iter().product();
            let numbers = if elements == 0 { Vec::new() } else { dequantise(quant, &bytes, elements) };
            tensors.insert(name, FileTensor { shape: stored.shape, numbers });
        }
        Ok(FileTensors(tensors))
    }

    /// The tensor under `to` that was under `from`.
    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(tensor) = self.0.remove(from) {
            self.0.insert(to.into(), tensor);
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A tensor's numbers, if it has this shape.
    pub fn take(&mut self, name: &'static str, shape: &[usize], kind: &'static str) -> Result<Vec<f32>, SaeFileError> {
        let tensor = self.0.remove(name).ok_or(SaeFileError::NoTensor { name, kind })?;
        match tensor.shape == shape {
            true => Ok(tensor.numbers),
            false => Err(SaeFileError::Shape {
                name,
                found: format!("{:?}", &tensor.shape[..tensor.shape.len().min(8)]),
                expected: format!("{shape:?}"),
            }),
        }
    }

    /// The rows and columns of a tensor.
    pub fn matrix(&self, name: &'static str, kind: &'static str) -> Result<(usize, usize), SaeFileError> {
        let tensor = self.0.get(name).ok_or(SaeFileError::NoTensor { name, kind })?;
        match tensor.shape[..] {
            [rows, cols] => Ok((rows, cols)),
            _ => Err(SaeFileError::Shape {
                name,
                found: format!("{:?}", &tensor.shape[..tensor.shape.len().min(8)]),
                expected: "of two dimensions".into(),
            }),
        }
    }

    /// Refuses what is left.
    pub fn finish(self, kind: &'static str) -> Result<(), SaeFileError> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(SaeFileError::UnknownTensor { name: shown(&name), kind }),
        }
    }
}

/// `[rows, cols]` to `[cols, rows]`.
pub fn transposed(numbers: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    /// Columns at once, so that what is written is still in the cache when its neighbour comes.
    const COLUMNS: usize = 16;
    let mut out = vec![0.0; numbers.len()];
    for first in (0..cols).step_by(COLUMNS) {
        for row in 0..rows {
            for col in first..cols.min(first + COLUMNS) {
                out[col * rows + row] = numbers[row * cols + col];
            }
        }
    }
    out
}
