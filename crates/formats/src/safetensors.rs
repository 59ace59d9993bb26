//! safetensors, the hub's format of weights: the length of a JSON header, the header (names, number formats, shapes,
//! places), then the tensors' bytes without gaps.
//!
//! The `safetensors` crate has a reader of this header. It does not serve here: it wants the whole file in memory, and
//! takes the last of several tensors of one name.
//!
//! Format: <https://github.com/huggingface/safetensors#format>.

mod write;

use crate::{ByteSource, Quant};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::{fmt, io};

pub(crate) use write::{TensorToWrite, to_bytes};

/// The longest header that is read. One of 30,000 tensors takes about 4 MiB.
pub const MAX_HEADER_BYTES: u64 = 16 << 20;
/// No tensor of a language model has more dimensions.
const MAX_DIMS: usize = 8;
/// Of number formats, as the header calls them.
const LONGEST_DTYPE: usize = 32;

/// The header of a safetensors file: what is in it, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Safetensors {
    pub metadata: BTreeMap<String, String>,
    pub tensors: BTreeMap<String, StoredTensor>,
}

/// Where a tensor lies in the file, and how. It lies wholly within the file and overlaps no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTensor {
    pub dtype: Dtype,
    /// Row-major, outermost dimension first. A single number has no dimensions; a dimension may be 0.
    pub shape: Vec<usize>,
    /// From the beginning of the file.
    pub offset: u64,
    pub bytes: u64,
}

/// How a tensor's numbers are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// One of F32, F16, BF16.
    Float(Quant),
    /// Another, as the header calls it: files carry masks and the like besides weights.
    Other(String),
}

/// Why a file cannot be read as safetensors.
#[derive(Debug, thiserror::Error)]
pub enum SafetensorsError {
    #[error("the file could not be read: {0}")]
    Io(#[from] io::Error),
    #[error(
        "this is not a safetensors file (it begins with \"{found}\"): choose a file whose name ends in .safetensors"
    )]
    NotSafetensors { found: String },
    #[error("the file ends at byte {len} where its header promises {promised}: download it again")]
    Truncated { len: u64, promised: u64 },
    #[error("the file's header has {found} bytes, more than the {MAX_HEADER_BYTES} that are read: choose another file")]
    TooLarge { found: u64 },
    #[error("the file's header is damaged ({what}): download it again")]
    Damaged { what: String },
    #[error("tensor \"{tensor}\" is stored as {dtype}, which cannot be read: choose a model in F32, F16 or BF16")]
    UnsupportedType { tensor: String, dtype: String },
}

impl Safetensors {
    /// Reads the header, and nothing of the tensors. What it allocates is bounded by the header's length, and that by
    /// the file's and by [`MAX_HEADER_BYTES`].
    pub async fn read(source: &impl ByteSource) -> Result<Safetensors, SafetensorsError> {
        let len = source.len();
        let start = source.read_at(0, len.min(LENGTH_BYTES + 1) as usize).await?;
        let not_safetensors = || SafetensorsError::NotSafetensors { found: start.escape_ascii().to_string() };
        let (length, brace) = start.split_first_chunk::<8>().ok_or_else(not_safetensors)?;
        if brace != b"{" {
            return Err(not_safetensors());
        }
        let header_bytes = u64::from_le_bytes(*length);
        let data_start = LENGTH_BYTES.saturating_add(header_bytes);
        if data_start > len {
            return Err(SafetensorsError::Truncated { len, promised: data_start });
        }
        if header_bytes > MAX_HEADER_BYTES {
            return Err(SafetensorsError::TooLarge { found: header_bytes });
        }
        let json = source.read_at(LENGTH_BYTES, header_bytes as usize).await?;
        let header: Header = serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
        let tensors = place(header.tensors, data_start, len)?;
        Ok(Safetensors { metadata: header.metadata, tensors })
    }
}

impl StoredTensor {
    /// The number format, if weights can be read in it; else an error that names both.
    pub fn quant(&self, name: &str) -> Result<Quant, SafetensorsError> {
        match &self.dtype {
            Dtype::Float(quant) => Ok(*quant),
            Dtype::Other(dtype) => Err(SafetensorsError::UnsupportedType { tensor: shown(name), dtype: dtype.clone() }),
        }
    }
}

const LENGTH_BYTES: u64 = 8;

fn damaged(what: impl Into<String>) -> SafetensorsError {
    SafetensorsError::Damaged { what: what.into() }
}

fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}

/// The header as it is written.
struct Header {
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, Declared>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    dtype: String,
    shape: Vec<usize>,
    /// First byte, and the one after the last, from the beginning of the data.
    data_offsets: (u64, u64),
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Header, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

/// Reads the header's entries one by one, so that no name is taken twice.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensors by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut metadata = None;
        let mut tensors = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let twice = match name.as_str() {
                "__metadata__" => metadata.replace(map.next_value()?).is_some(),
                _ => tensors.insert(name.clone(), map.next_value()?).is_some(),
            };
            if twice {
                return Err(A::Error::custom(format!("\"{}\" appears twice", shown(&name))));
            }
        }
        Ok(Header { metadata: metadata.unwrap_or_default(), tensors })
    }
}

/// Checks where the tensors lie: within the file, as long as their shapes, side by side from the header to the end.
fn place(
    declared: BTreeMap<String, Declared>,
    data_start: u64,
    len: u64,
) -> Result<BTreeMap<String, StoredTensor>, SafetensorsError> {
    let mut tensors = BTreeMap::new();
    for (name, Declared { dtype, shape, data_offsets: (start, end) }) in declared {
        let wrong = |what: String| damaged(format!("tensor \"{}\" {what}", shown(&name)));
        if shape.len() > MAX_DIMS {
            return Err(wrong(format!("has {} dimensions", shape.len())));
        }
        if dtype.len() > LONGEST_DTYPE {
            return Err(wrong("is of a type with an endless name".into()));
        }
        let bytes = end.checked_sub(start).ok_or_else(|| wrong("ends before it begins".into()))?;
        let promised = data_start.saturating_add(end);
        if promised > len {
            return Err(SafetensorsError::Truncated { len, promised });
        }
        let elements = shape.iter().try_fold(1u64, |elements, &dim| elements.checked_mul(dim as u64));
        let elements = elements.ok_or_else(|| wrong(format!("has the impossible shape {shape:?}")))?;
        if let Some(element_bytes) = element_bytes(&dtype)
            && elements.checked_mul(element_bytes) != Some(bytes)
        {
            return Err(wrong(format!("of the shape {shape:?} in {dtype} has {bytes} bytes")));
        }
        let dtype = match dtype.as_str() {
            "F32" => Dtype::Float(Quant::F32),
            "F16" => Dtype::Float(Quant::F16),
            "BF16" => Dtype::Float(Quant::BF16),
            _ => Dtype::Other(dtype),
        };
        tensors.insert(name, StoredTensor { dtype, shape, offset: data_start + start, bytes });
    }

    let mut by_place: Vec<(&String, &StoredTensor)> = tensors.iter().collect();
    by_place.sort_by_key(|(_, tensor)| (tensor.offset, tensor.bytes));
    let mut at = data_start;
    for (name, tensor) in by_place {
        if tensor.offset != at {
            let how = if tensor.offset < at { "lies upon the one before it" } else { "leaves a gap before it" };
            return Err(damaged(format!("tensor \"{}\" {how}", shown(name))));
        }
        at += tensor.bytes;
    }
    match at {
        _ if at == len => Ok(tensors),
        _ => Err(damaged(format!("its tensors end at byte {at}, the file at {len}"))),
    }
}

/// Bytes of a number; `None` where the format is not known, or shares bytes between numbers.
fn element_bytes(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" => 1,
        "U16" | "I16" | "F16" | "BF16" => 2,
        "U32" | "I32" | "F32" => 4,
        "U64" | "I64" | "F64" | "C64" => 8,
        _ => return None,
    })
}
