//! Steering vectors as safetensors files.
//!
//! One tensor for each block, called `direction.N`: `[d_model]` in F32, F16 or BF16, at its full length, to be added to
//! the output of block N (from 0; `blocks.N.hook_resid_post`). Tensors may also go by that site's own name. The metadata,
//! in which everything is text:
//!
//! - `tiller.numbering`: `block-output`, which says that N is what it is said to be above; without it, N of `direction.N`
//!   is unknown, and a person has to be asked;
//! - `controlvector.model_hint`: the architecture, such as `llama`;
//! - `tiller.name`, `tiller.model` (repository and file), `tiller.model_layers` (how many blocks that model has),
//!   `tiller.method`, `tiller.provenance` (what it was made of);
//! - `tiller.layers`, `tiller.norms` (each direction's L2 length) and `tiller.typical_norms` (the mean L2 length of the
//!   residual stream there), lists in JSON, by ascending layer.

use super::{
    BLOCK_OUTPUT, ControlVector, ControlVectorError, DIRECTION, Directions, MODEL_HINT, NUMBERING, Numbering,
    OWN_PREFIX, Stored, damaged,
};
use crate::safetensors::{TensorToWrite, to_bytes};
use crate::{ByteSource, Metadata, Safetensors, Value};
use std::collections::BTreeMap;

/// The longest text of the metadata that is kept.
const LONGEST_NOTE: usize = 16_384;

impl ControlVector {
    /// The file as safetensors.
    pub fn to_safetensors(&self) -> Vec<u8> {
        let mut metadata = BTreeMap::from([(MODEL_HINT.to_string(), self.model_hint.clone())]);
        if self.numbering == Numbering::BlockOutput {
            metadata.insert(NUMBERING.into(), BLOCK_OUTPUT.into());
        }
        for (key, value) in self.notes.0.iter().filter(|(key, _)| key.starts_with(OWN_PREFIX)) {
            metadata.extend(as_text(value).map(|text| (key.clone(), text)));
        }
        let tensor = |(number, direction): (&u32, &Vec<f32>)| TensorToWrite {
            name: format!("{DIRECTION}{number}"),
            dtype: "F32",
            shape: vec![direction.len()],
            bytes: direction.iter().flat_map(|x| x.to_le_bytes()).collect(),
        };
        to_bytes(self.directions.iter().map(tensor), &metadata)
    }
}

pub(super) async fn read(source: &impl ByteSource) -> Result<ControlVector, ControlVectorError> {
    let header = Safetensors::read(source).await?;
    let mut directions = Directions::default();
    let mut all_by_site = true;
    for (name, tensor) in &header.tensors {
        let by_site = name.strip_prefix("blocks.").and_then(|rest| rest.strip_suffix(".hook_resid_post"));
        all_by_site &= by_site.is_some();
        let number = by_site.or_else(|| name.strip_prefix(DIRECTION)).and_then(|number| number.parse().ok());
        let stored = Stored {
            name,
            number,
            shape: &tensor.shape,
            quant: tensor.quant(name)?,
            offset: tensor.offset,
            bytes: tensor.bytes,
        };
        directions.take(source, &stored).await?;
    }
    let says_so = header.metadata.get(NUMBERING).is_some_and(|numbering| numbering == BLOCK_OUTPUT);
    let numbering = if all_by_site || says_so { Numbering::BlockOutput } else { Numbering::Unknown };
    let mut notes = BTreeMap::new();
    for (key, text) in &header.metadata {
        if key.starts_with(OWN_PREFIX) && key != NUMBERING {
            if text.len() > LONGEST_NOTE {
                return Err(damaged("a note in its metadata is endless"));
            }
            notes.insert(key.clone(), from_text(text));
        }
    }
    let model_hint = header.metadata.get(MODEL_HINT).map(|hint| hint.chars().take(200).collect()).unwrap_or_default();
    Ok(ControlVector { model_hint, directions: directions.whole()?, numbering, notes: Metadata(notes) })
}

/// `None` for what no note of ours is.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(values) => {
            // Whole numbers are exact in f64, and an f32 comes back from the decimals of its f64.
            let number = |value: &Value| {
                let whole = value.as_u32().map(f64::from);
                whole.or_else(|| value.as_f32().map(f64::from))
            };
            let numbers: Option<Vec<f64>> = values.iter().map(number).collect();
            numbers.and_then(|numbers| serde_json::to_string(&numbers).ok())
        }
        _ => value.as_i128().map(|number| number.to_string()),
    }
}

/// A list of numbers, a whole number, or else the text as it is.
fn from_text(text: &str) -> Value {
    if let Ok(numbers) = serde_json::from_str::<Vec<f32>>(text) {
        return Value::Array(numbers.into_iter().map(Value::F32).collect());
    }
    text.parse().map_or_else(|_| Value::String(text.into()), Value::U32)
}
