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

/// What follows a tensor's name in that of the scales of its rows, `[rows, 1]`, or of its columns, `[1, cols]`.
pub const SCALE: &str = ".scale";

impl FileTensor {
    /// Multiplies the rows or the columns of a matrix, if `scale` has one number for each.
    fn multiply(&mut self, scale: &FileTensor) -> bool {
        let &[rows, cols] = self.shape.as_slice() else { return false };
        let of: fn(usize, usize) -> usize = match scale.shape.as_slice() {
            &[found, 1] if found == rows => |row, _| row,
            &[1, found] if found == cols => |_, col| col,
            _ => return false,
        };
        for (row, numbers) in self.numbers.chunks_exact_mut(cols.max(1)).enumerate() {
            numbers.iter_mut().enumerate().for_each(|(col, x)| *x *= scale.numbers[of(row, col)]);
        }
        true
    }
}

/// What a file holds, taken one by one; what nobody takes is refused at the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileTensors(pub BTreeMap<String, FileTensor>);

impl FileTensors {
    /// All tensors of a safetensors file. One in I8 stands beside another of its name and [`SCALE`], by whose numbers its
    /// rows or its columns are to be multiplied.
    pub async fn from_safetensors(source: &impl ByteSource) -> Result<FileTensors, SaeFileError> {
        let (mut tensors, mut rounded) = (FileTensors::default(), Vec::new());
        for (name, stored) in Safetensors::read(source).await?.tensors {
            let bytes = source.read_at(stored.offset, stored.bytes as usize).await?;
            // Checked with the header: as many bytes as the shape says.
            let elements = stored.shape.iter().product();
            let numbers = match &stored.dtype {
                _ if elements == 0 => Vec::new(),
                Dtype::Float(quant) => dequantise(*quant, &bytes, elements),
                Dtype::Other(dtype) if dtype == "I8" => {
                    rounded.push(name.clone());
                    bytes.iter().map(|&byte| f32::from(byte.cast_signed())).collect()
                }
                Dtype::Other(dtype) => return Err(SaeFileError::Type { name: shown(&name), dtype: shown(dtype) }),
            };
            tensors.0.insert(name, FileTensor { shape: stored.shape, numbers });
        }
        for name in rounded {
            let scale = tensors.0.remove(&format!("{name}{SCALE}"));
            let tensor = tensors.0.get_mut(&name).expect("it was read above");
            let scaled = scale.is_some_and(|scale| tensor.multiply(&scale));
            if !scaled {
                return Err(SaeFileError::NoScale { name: shown(&name) });
            }
        }
        Ok(tensors)
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
