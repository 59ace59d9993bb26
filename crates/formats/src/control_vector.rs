//! Steering vectors as GGUF control vectors, the files that llama.cpp and repeng exchange, and as safetensors
//! ([`safetensors`]).
//!
//! `general.architecture` is `controlvector`, and each block's direction is a one-dimensional tensor `direction.N`.
//! What N means is not written in the file, and programs differ: repeng writes the block (from 0) at whose output the
//! direction was read and is added; llama.cpp adds `direction.N` after block N as well, and refuses N = 0; but
//! llama.cpp's own generator writes N + 1. Files written here follow repeng and say so; of others,
//! [`ControlVector::numbering`] is unknown, and a person has to be asked.

pub mod safetensors;

use crate::gguf::shown;
use crate::write::{GgufWriter, WriteError};
use crate::{ByteSource, Gguf, GgufError, Metadata, Quant, SafetensorsError, TensorInfo, dequantise};
use std::collections::BTreeMap;

const ARCHITECTURE: &str = "controlvector";
const MODEL_HINT: &str = "controlvector.model_hint";
const LAYER_COUNT: &str = "controlvector.layer_count";
const DIRECTION: &str = "direction.";
const MAGIC: &[u8] = b"GGUF";
const NUMBERING: &str = "tiller.numbering";
const BLOCK_OUTPUT: &str = "block-output";
/// Keys of our own; other programs pass over them.
const OWN_PREFIX: &str = "tiller.";

/// No model has more blocks, nor a wider residual stream.
const MOST_LAYERS: u32 = 512;
const WIDEST: usize = 65_536;

/// Directions in the residual stream, one for each of some blocks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ControlVector {
    /// The architecture that the directions are for, such as `llama`.
    pub model_hint: String,
    /// By the number in the tensor's name; all `[d_model]` of one model.
    pub directions: BTreeMap<u32, Vec<f32>>,
    pub numbering: Numbering,
    /// What else this program notes about a vector (the method, the typical norm of the stream at each block); every
    /// key begins with `tiller.`.
    pub notes: Metadata,
}

/// What the numbers of the directions mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Numbering {
    /// The block, from 0, whose output the direction belongs to.
    BlockOutput,
    /// The file does not say.
    #[default]
    Unknown,
}

/// Why a file is no control vector that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlVectorError {
    #[error(transparent)]
    Gguf(#[from] GgufError),
    #[error(transparent)]
    Safetensors(#[from] SafetensorsError),
    #[error("this GGUF file is a \"{found}\", not a control vector: choose a file that holds a control vector")]
    NotAControlVector { found: String },
    #[error("the control vector is damaged ({what}): save it again")]
    Damaged { what: String },
}

fn damaged(what: impl Into<String>) -> ControlVectorError {
    ControlVectorError::Damaged { what: what.into() }
}

/// A direction's tensor, as a file declares it.
struct Stored<'a> {
    name: &'a str,
    /// That of the direction; `None` where the name is no direction's.
    number: Option<u32>,
    shape: &'a [usize],
    quant: Quant,
    offset: u64,
    bytes: u64,
}

/// Directions as they are read, each checked before anything is allocated for it.
#[derive(Default)]
struct Directions {
    read: BTreeMap<u32, Vec<f32>>,
    width: Option<usize>,
}

impl Directions {
    async fn take(&mut self, source: &impl ByteSource, tensor: &Stored<'_>) -> Result<(), ControlVectorError> {
        let name = || shown(tensor.name).escape_debug().to_string();
        let Some(number) = tensor.number.filter(|&number| number < MOST_LAYERS) else {
            return Err(damaged(format!("\"{}\" is no direction", name())));
        };
        let elements = match tensor.shape {
            &[elements] if (1..=WIDEST).contains(&elements) => elements,
            shape => return Err(damaged(format!("\"{}\" has the shape {shape:?}", name()))),
        };
        if *self.width.get_or_insert(elements) != elements {
            return Err(damaged("its directions are of different widths"));
        }
        let bytes = source.read_at(tensor.offset, tensor.bytes as usize).await.map_err(GgufError::from)?;
        let direction = dequantise(tensor.quant, &bytes, elements);
        if direction.iter().any(|x| !x.is_finite()) {
            return Err(damaged(format!("\"{}\" holds what is no number", name())));
        }
        // "direction.1" and "direction.01" are two tensors.
        if self.read.insert(number, direction).is_some() {
            return Err(damaged(format!("direction {number} appears twice")));
        }
        Ok(())
    }

    fn whole(self) -> Result<BTreeMap<u32, Vec<f32>>, ControlVectorError> {
        if self.read.is_empty() { Err(damaged("it has no directions")) } else { Ok(self.read) }
    }
}

impl ControlVector {
    /// Reads a file of either format; which, its first bytes say.
    pub async fn read(source: &impl ByteSource) -> Result<ControlVector, ControlVectorError> {
        let start = source.read_at(0, source.len().min(MAGIC.len() as u64) as usize).await.map_err(GgufError::from)?;
        match start == MAGIC {
            true => ControlVector::read_gguf(source).await,
            false => safetensors::read(source).await,
        }
    }

    async fn read_gguf(source: &impl ByteSource) -> Result<ControlVector, ControlVectorError> {
        let gguf = Gguf::read(source).await?;
        let found = gguf.metadata.get_str("general.architecture")?;
        if found != ARCHITECTURE {
            return Err(ControlVectorError::NotAControlVector { found: shown(found) });
        }

        let mut directions = Directions::default();
        for (name, tensor) in &gguf.tensors {
            let number = name.strip_prefix(DIRECTION).and_then(|number| number.parse().ok());
            let TensorInfo { ref shape, quant, offset, bytes, .. } = *tensor;
            directions.take(source, &Stored { name, number, shape, quant, offset, bytes }).await?;
        }
        let directions = directions.whole()?;
        let numbering = match gguf.metadata.find_str(NUMBERING)? {
            Some(BLOCK_OUTPUT) => Numbering::BlockOutput,
            _ => Numbering::Unknown,
        };
        let model_hint = gguf.metadata.find_str(MODEL_HINT)?.unwrap_or_default().to_string();
        let notes = gguf.metadata.0.into_iter().filter(|(key, _)| key.starts_with(OWN_PREFIX) && key != NUMBERING);
        Ok(ControlVector { model_hint, directions, numbering, notes: Metadata(notes.collect()) })
    }

    /// The file, its directions numbered as repeng does.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WriteError> {
        let mut file = GgufWriter::new(ARCHITECTURE)
            .with(MODEL_HINT, self.model_hint.as_str())
            .with(LAYER_COUNT, self.directions.len() as u32);
        if self.numbering == Numbering::BlockOutput {
            file = file.with(NUMBERING, BLOCK_OUTPUT);
        }
        for (key, value) in self.notes.0.iter().filter(|(key, _)| key.starts_with(OWN_PREFIX)) {
            file = file.with(key, value.clone());
        }
        for (number, direction) in &self.directions {
            file.tensor(&format!("{DIRECTION}{number}"), Quant::F32, &[direction.len()], direction)?;
        }
        file.to_bytes()
    }

    /// Of a file that llama.cpp's generator wrote, the same directions by the block whose output they belong to.
    pub fn from_one_based(self) -> Result<ControlVector, ControlVectorError> {
        let by_block = |(number, direction): (u32, Vec<f32>)| {
            let block = number.checked_sub(1).ok_or_else(|| damaged("blocks counted from 1 have no direction 0"))?;
            Ok((block, direction))
        };
        let directions = self.directions.into_iter().map(by_block).collect::<Result<_, ControlVectorError>>()?;
        Ok(ControlVector { directions, numbering: Numbering::BlockOutput, ..self })
    }

    /// d_model of the model that the directions are for.
    pub fn width(&self) -> usize {
        self.directions.values().next().map_or(0, Vec::len)
    }
}
