//! GGUF, llama.cpp's model format: a header (metadata, then the tensors' names, shapes and places), then the tensors.
//!
//! candle-core has a reader of this header. It does not serve here: it reads through `Read + Seek`, which a browser's
//! storage cannot offer; it divides by `general.alignment` without looking whether that is 0; it takes a big-endian
//! file for a little-endian one, keeps the last of several tensors of one name, and leaves it to the reading of a
//! tensor to find that its place is beyond the end of the file. A file from the network is checked here once, as a
//! whole, before anything is allocated for it. Its blocks are read and written by candle (see [`crate::blocks`]).
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

mod header;
mod value;

use crate::{ByteSource, Quant};
use std::{collections::BTreeMap, io};

pub use value::{Metadata, Value};

/// The header of a GGUF file: what is in it, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Gguf {
    /// 2 or 3.
    pub version: u32,
    pub metadata: Metadata,
    pub tensors: BTreeMap<String, TensorInfo>,
}

/// Where a tensor lies in the file, and how. It lies wholly within the file and overlaps no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    pub quant: Quant,
    /// Row-major, outermost dimension first: `[rows, cols]` (ggml's dimensions reversed). One to four, none of them 0.
    pub shape: Vec<usize>,
    /// From the beginning of the file.
    pub offset: u64,
    pub bytes: u64,
}

impl TensorInfo {
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

impl Gguf {
    /// Reads the header, and nothing of the tensors. What it allocates is bounded by the length of the file and by
    /// [`MAX_HEADER_BYTES`].
    pub async fn read(source: &impl ByteSource) -> Result<Gguf, GgufError> {
        header::read(source).await
    }

    /// The tensor of this name, or an error that names it.
    pub fn tensor(&self, name: &str) -> Result<&TensorInfo, GgufError> {
        self.tensors.get(name).ok_or_else(|| GgufError::MissingTensor { name: name.into() })
    }
}

/// As much of a file's own text as is repeated in a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

/// The longest header that is read. The largest vocabularies (262,144 tokens with their merges) take about 20 MiB.
pub const MAX_HEADER_BYTES: u64 = 64 << 20;

/// Why a file cannot be read as GGUF, or lacks what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    #[error("the file could not be read: {0}")]
    Io(#[from] io::Error),
    #[error("this is not a GGUF file (it begins with \"{found}\"): choose a file whose name ends in .gguf")]
    NotGguf { found: String },
    #[error("this GGUF file is big-endian, which no browser's machine can use: choose the little-endian file")]
    BigEndian,
    #[error(
        "this is GGUF version {version}, but only versions 2 and 3 can be read: convert the model again with a current \
         llama.cpp"
    )]
    Version { version: u32 },
    #[error("the file ends at byte {len} where its header promises {promised}: download it again")]
    Truncated { len: u64, promised: u64 },
    #[error("the file's header promises {what}, more than the {limit} that are read: choose another file")]
    TooLarge { what: String, limit: u64 },
    #[error("the file's header is damaged ({what}): download it again")]
    Damaged { what: String },
    #[error(
        "tensor \"{tensor}\" is stored as {ggml_type}, which cannot be read: choose a file in one of {}",
        Quant::names()
    )]
    UnsupportedType { tensor: String, ggml_type: String },
    #[error("the file's metadata lacks \"{key}\": choose another conversion of the model")]
    MissingKey { key: String },
    #[error(
        "the file's metadata gives {found} for \"{key}\" where {wanted} is needed: choose another conversion of the \
         model"
    )]
    WrongKind { key: String, wanted: &'static str, found: &'static str },
    #[error("the file has no tensor \"{name}\": choose another conversion of the model")]
    MissingTensor { name: String },
}
