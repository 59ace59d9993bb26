//! Writing GGUF files, version 3.

use crate::{Metadata, Quant, Value, quantise};

/// llama.cpp's default for `general.alignment`.
const ALIGNMENT: usize = 32;

/// A GGUF file in the making.
#[derive(Clone, Debug, Default)]
pub struct GgufWriter {
    metadata: Metadata,
    tensors: Vec<Tensor>,
}

#[derive(Clone, Debug)]
struct Tensor {
    name: String,
    quant: Quant,
    /// Outermost first.
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Why something cannot be written into a GGUF file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    #[error("tensor \"{name}\" of the shape {shape:?} cannot hold {numbers} numbers as {quant}: give it another shape")]
    Shape { name: String, shape: Vec<usize>, numbers: usize, quant: Quant },
    #[error("there is a tensor \"{0}\" already: give it another name")]
    Duplicate(String),
    #[error("the list \"{0}\" holds values of several kinds: give it values of one")]
    MixedList(String),
}

impl GgufWriter {
    /// A file whose `general.architecture` this is.
    pub fn new(architecture: &str) -> GgufWriter {
        GgufWriter::default().with("general.architecture", architecture)
    }

    /// The same file with a metadata value more, or another one.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> GgufWriter {
        self.metadata.0.insert(key.into(), value.into());
        self
    }

    /// Adds a tensor of `shape`, outermost dimension first, quantised to `quant`.
    pub fn tensor(&mut self, name: &str, quant: Quant, shape: &[usize], numbers: &[f32]) -> Result<(), WriteError> {
        let fits = shape.iter().product::<usize>() == numbers.len()
            && shape.last().is_some_and(|&cols| cols > 0 && quant.row_bytes(cols).is_some());
        let bytes = quantise(quant, numbers).filter(|_| fits);
        let bytes = bytes.ok_or_else(|| WriteError::Shape {
            name: name.into(),
            shape: shape.into(),
            numbers: numbers.len(),
            quant,
        })?;
        if self.tensors.iter().any(|tensor| tensor.name == name) {
            return Err(WriteError::Duplicate(name.into()));
        }
        self.tensors.push(Tensor { name: name.into(), quant, shape: shape.into(), bytes });
        Ok(())
    }

    /// The file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WriteError> {
        let mut out = Vec::new();
        out.extend_from_slice(b"GGUF");
        out.extend(3u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.0.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata.0 {
            write_text(&mut out, key);
            out.extend(value.kind().to_le_bytes());
            write_value(&mut out, key, value)?;
        }
        let mut offset = 0;
        for tensor in &self.tensors {
            write_text(&mut out, &tensor.name);
            out.extend((tensor.shape.len() as u32).to_le_bytes());
            for &dim in tensor.shape.iter().rev() {
                out.extend((dim as u64).to_le_bytes());
            }
            out.extend(tensor.quant.to_ggml().to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            offset += tensor.bytes.len().next_multiple_of(ALIGNMENT);
        }
        pad(&mut out);
        for tensor in &self.tensors {
            out.extend_from_slice(&tensor.bytes);
            pad(&mut out);
        }
        Ok(out)
    }
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn write_value(out: &mut Vec<u8>, key: &str, value: &Value) -> Result<(), WriteError> {
    match value {
        Value::U8(v) => out.extend(v.to_le_bytes()),
        Value::I8(v) => out.extend(v.to_le_bytes()),
        Value::U16(v) => out.extend(v.to_le_bytes()),
        Value::I16(v) => out.extend(v.to_le_bytes()),
        Value::U32(v) => out.extend(v.to_le_bytes()),
        Value::I32(v) => out.extend(v.to_le_bytes()),
        Value::F32(v) => out.extend(v.to_le_bytes()),
        Value::U64(v) => out.extend(v.to_le_bytes()),
        Value::I64(v) => out.extend(v.to_le_bytes()),
        Value::F64(v) => out.extend(v.to_le_bytes()),
        Value::Bool(v) => out.push((*v).into()),
        Value::String(v) => write_text(out, v),
        Value::Array(values) => {
            // The kind of an empty list does not matter.
            let kind = values.first().map_or(Value::U32(0).kind(), Value::kind);
            if values.iter().any(|value| value.kind() != kind) {
                return Err(WriteError::MixedList(key.into()));
            }
            out.extend(kind.to_le_bytes());
            out.extend((values.len() as u64).to_le_bytes());
            for value in values {
                write_value(out, key, value)?;
            }
        }
    }
    Ok(())
}
