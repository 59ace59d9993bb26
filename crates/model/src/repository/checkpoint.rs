//! Weights in safetensors files, as the pass wants them.

use super::config::Family;
use super::files::{LONGEST_INDEX, find_json};
use super::layout::{Layout, plus_one, transposed};
use super::names::{Role, role};
use super::{ModelFilesError, RepositoryError};
use crate::checkpoint::{Checkpoint, CheckpointError, TensorShape};
use crate::{ModelConfig, ModelError};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use tiller_formats::{ByteSource, Folder, Quant, Safetensors, dequantise, quantise};

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// Files of one model; the largest models have about 200.
const MOST_SHARDS: usize = 1000;

/// The weights of a repository of the hub, under GGUF's names and in GGUF's layouts.
///
/// A matrix that its file holds transposed (GPT-2's) is read whole with its first rows, and kept until its last are
/// read. All others are read row by row.
pub struct RepositoryCheckpoint<F> {
    shards: Vec<F>,
    tensors: BTreeMap<String, TensorShape>,
    places: BTreeMap<String, Place>,
    transposed: RefCell<Option<(String, Vec<u8>)>>,
}

/// Where a tensor is stored, and how.
#[derive(Clone, Copy)]
struct Place {
    shard: usize,
    offset: u64,
    quant: Quant,
    layout: Layout,
}

impl<F: ByteSource> RepositoryCheckpoint<F> {
    /// Opens the weights of a repository, one file or several, and reads their headers.
    pub(super) async fn open<R: Folder<File = F>>(
        folder: &R,
        family: Family,
        config: &ModelConfig,
        quantise: Option<Quant>,
    ) -> Result<RepositoryCheckpoint<F>, ModelFilesError> {
        let (shards, tensors, places) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut checkpoint = RepositoryCheckpoint { shards, tensors, places, transposed: RefCell::new(None) };
        for name in weight_files(folder).await? {
            let unreadable = |error| RepositoryError::Unreadable { file: name.clone(), error };
            let missing = || RepositoryError::MissingFile { file: name.clone() };
            let file = folder.open(&name).await.map_err(unreadable)?.ok_or_else(missing)?;
            let header = Safetensors::read(&file).await;
            let header = header.map_err(|error| RepositoryError::Weights { file: name.clone(), error })?;
            checkpoint.add(file, &name, header, family, config, quantise)?;
        }
        Ok(checkpoint)
    }

    fn add(
        &mut self,
        file: F,
        file_name: &str,
        header: Safetensors,
        family: Family,
        config: &ModelConfig,
        quantise: Option<Quant>,
    ) -> Result<(), ModelFilesError> {
        let shard = self.shards.len();
        self.shards.push(file);
        for (stored_name, stored) in header.tensors {
            let shown: String = stored_name.chars().take(100).collect();
            let (name, layout) = match role(family, config, &stored_name) {
                Role::Weight { name, layout } => (name, layout),
                Role::Superfluous => continue,
                Role::Unknown => return Err(ModelError::Unsupported { what: format!("a tensor \"{shown}\"") }.into()),
            };
            let quant = stored.quant(&stored_name);
            let quant = quant.map_err(|error| RepositoryError::Weights { file: file_name.into(), error })?;
            if !matches!(stored.shape.len(), 1 | 2) || stored.bytes == 0 {
                let wanted = "a vector or a matrix".into();
                let found = format!("the shape {:?} of \"{shown}\"", stored.shape);
                return Err(ModelError::OutOfRange { what: "weights", found, wanted }.into());
            }
            let shape = layout.shape(&stored.shape);
            let given = given_quant(&name, &shape, layout.quant(quant), quantise);
            let twice = self.tensors.insert(name.clone(), TensorShape { shape, quant: given }).is_some();
            if twice {
                let what = format!("the tensor \"{shown}\" is there twice");
                return Err(RepositoryError::Damaged { file: file_name.into(), what }.into());
            }
            self.places.insert(name, Place { shard, offset: stored.offset, quant, layout });
        }
        Ok(())
    }

    /// Stored numbers `numbers` of a tensor.
    async fn stored(&self, place: Place, numbers: Range<usize>) -> Result<Vec<u8>, CheckpointError> {
        let (_, each) = place.quant.block();
        let offset = place.offset + (numbers.start * each) as u64;
        Ok(self.shards[place.shard].read_at(offset, numbers.len() * each).await?)
    }

    /// Rows of a tensor that is stored as `[inputs, outputs]`.
    async fn transposed_rows(
        &self,
        name: &str,
        place: Place,
        [outputs, inputs]: [usize; 2],
        rows: Range<usize>,
    ) -> Result<Vec<u8>, CheckpointError> {
        let kept = self.transposed.borrow().as_ref().is_some_and(|(kept, _)| kept == name);
        if !kept {
            // The matrix before goes first: there is never more than one.
            self.transposed.replace(None);
            let stored = self.stored(place, 0..inputs * outputs).await?;
            self.transposed.replace(Some((name.into(), transposed(&stored, inputs, outputs))));
        }
        let mut kept = self.transposed.borrow_mut();
        let (_, matrix) = kept.as_ref().expect("the matrix was read just now");
        let row_bytes = matrix.len() / outputs;
        let bytes = matrix[rows.start * row_bytes..rows.end * row_bytes].to_vec();
        if rows.end == outputs {
            *kept = None;
        }
        Ok(bytes)
    }
}

impl<F: ByteSource> Checkpoint for RepositoryCheckpoint<F> {
    fn tensors(&self) -> &BTreeMap<String, TensorShape> {
        &self.tensors
    }

    async fn read_rows(&self, name: &str, rows: Range<usize>) -> Result<Vec<u8>, CheckpointError> {
        let missing = || CheckpointError::Missing { name: name.chars().take(100).collect() };
        let tensor = self.tensors.get(name).ok_or_else(missing)?;
        let place = *self.places.get(name).ok_or_else(missing)?;
        let cols = tensor.cols();
        let bytes = match (place.layout, tensor.shape.as_slice()) {
            (Layout::Transposed, &[outputs, inputs]) => {
                self.transposed_rows(name, place, [outputs, inputs], rows.clone()).await?
            }
            (layout, shape) => {
                // A vector is one row, but its numbers are outputs.
                let (outputs, width) = if shape.len() == 1 { (0..cols, 1) } else { (rows.clone(), cols) };
                let mut bytes = Vec::new();
                for run in layout.stored(outputs) {
                    bytes.extend(self.stored(place, run.start * width..run.end * width).await?);
                }
                bytes
            }
        };
        if place.layout == Layout::PlusOne {
            return Ok(plus_one(place.quant, &bytes));
        }
        if tensor.quant == place.quant {
            return Ok(bytes);
        }
        let numbers = dequantise(place.quant, &bytes, rows.len() * cols);
        Ok(quantise(tensor.quant, &numbers).expect("rows that are not whole blocks are left as they are"))
    }
}

/// The format that a tensor is given in.
fn given_quant(name: &str, shape: &[usize], stored: Quant, quantise: Option<Quant>) -> Quant {
    match (quantise, shape) {
        (Some(quant), [_, cols]) if name != "position_embd.weight" && quant.row_bytes(*cols).is_some() => quant,
        _ => stored,
    }
}

/// The files that hold the weights: those that the index names, or else the one.
async fn weight_files<R: Folder>(folder: &R) -> Result<BTreeSet<String>, RepositoryError> {
    let Some(index) = find_json(folder, INDEX, LONGEST_INDEX).await? else {
        return Ok(BTreeSet::from([WEIGHTS.to_string()]));
    };
    let damaged = |what: String| RepositoryError::Damaged { file: INDEX.into(), what };
    let map = index["weight_map"].as_object().ok_or_else(|| damaged("it has no weight_map".into()))?;
    let mut files = BTreeSet::new();
    for file in map.values().map(Value::as_str) {
        let plain = |file: &&str| {
            file.len() <= 255
                && file.ends_with(".safetensors")
                && !file.starts_with('.')
                && file.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+'))
        };
        let file = file.filter(plain).ok_or_else(|| damaged("it names something that is no file of weights".into()))?;
        files.insert(file.to_string());
        if files.len() > MOST_SHARDS {
            return Err(damaged(format!("it names more than {MOST_SHARDS} files")));
        }
    }
    Ok(files)
}
