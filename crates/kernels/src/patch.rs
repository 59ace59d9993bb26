//! Activations to be put in the place of others, by position.

use std::ops::Range;
use std::sync::Arc;

use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::memory::Memory;
use crate::store::{Store, StorePart};

/// Activations from another run, by their position in the sequence. A clone is a handle to the same numbers.
#[derive(Clone, Debug)]
pub struct Patch {
    /// Ascending.
    positions: Arc<Memory>,
    /// `[entries, width]`
    values: Arc<Memory>,
    entries: u32,
    width: u32,
}

impl Patch {
    /// Each entry is a position in a row's own sequence and `width` numbers, in any order. Errors where there is no
    /// entry, where a position comes twice or numbers are too many or too few, and where all of them exceed what the
    /// device binds.
    pub fn new(gpu: &Gpu, width: u32, entries: &[(u32, &[f32])]) -> Result<Patch, GpuError> {
        let refuse = |what: String| Err(GpuError::Validation(what));
        if entries.is_empty() || width == 0 {
            return refuse(format!("a patch of {} positions of width {width}", entries.len()));
        }
        if let Some((position, values)) = entries.iter().find(|(_, values)| values.len() != width as usize) {
            return refuse(format!("{} numbers at position {position} of a patch of width {width}", values.len()));
        }
        let mut sorted = entries.to_vec();
        sorted.sort_by_key(|&(position, _)| position);
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return refuse(format!("a patch has position {} twice", pair[0].0));
        }
        let row_bytes = u64::from(width) * 4;
        let positions = gpu.storage("the positions of a patch", sorted.len() as u64 * 4)?;
        let values = gpu.storage("the activations of a patch", sorted.len() as u64 * row_bytes)?;
        let index: Vec<u32> = sorted.iter().map(|&(position, _)| position).collect();
        let table = sorted.iter().map(|&(_, row)| row).collect::<Vec<&[f32]>>().concat();
        gpu.write(&positions, 0, bytemuck::cast_slice(&index));
        gpu.write(&values, 0, bytemuck::cast_slice(&table));
        let entries = sorted.len() as u32;
        Ok(Patch { positions: Arc::new(positions), values: Arc::new(values), entries, width })
    }

    pub(crate) fn entries(&self) -> u32 {
        self.entries
    }

    pub fn width(&self) -> u32 {
        self.width
    }

    pub(crate) fn positions(&self) -> Arc<Memory> {
        self.positions.clone()
    }

    pub(crate) fn values(&self) -> Arc<Memory> {
        self.values.clone()
    }
}

/// Activations that lie in a store, by the position in the sequence that they are for. A clone is a handle to the same
/// table.
#[derive(Clone, Debug)]
pub struct StoredPatch {
    store: Store,
    /// Columns of the store.
    columns: Range<u32>,
    /// Positions, ascending, and then their rows in the store.
    index: Arc<Memory>,
    entries: u32,
    /// Parts of the store that an entry names.
    parts: Vec<StorePart>,
}

impl StoredPatch {
    /// Each entry is a position in a row's own sequence and a row of `store`, of which `columns` count. Errors where
    /// there is no entry, a position comes twice, a row or a column is not in the store, or the store lies on another
    /// device.
    pub fn new(gpu: &Gpu, store: &Store, columns: Range<u32>, entries: &[(u32, u32)]) -> Result<StoredPatch, GpuError> {
        let refuse = |what: String| Err(GpuError::Validation(what));
        if !store.is_on(gpu) {
            return refuse("a patch from a store on another device".to_owned());
        }
        if entries.is_empty() || columns.is_empty() || columns.end > store.width() {
            let (entries, width) = (entries.len(), store.width());
            return refuse(format!("a patch of {entries} positions, columns {columns:?} of a store of width {width}"));
        }
        if let Some((position, row)) = entries.iter().find(|&&(_, row)| row >= store.rows()) {
            return refuse(format!("a patch at position {position} from row {row} of a store of {}", store.rows()));
        }
        let mut sorted = entries.to_vec();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return refuse(format!("a patch has position {} twice", pair[0].0));
        }
        let words: Vec<u32> =
            sorted.iter().map(|&(position, _)| position).chain(sorted.iter().map(|&(_, row)| row)).collect();
        let index = gpu.storage("the rows of a patch", words.len() as u64 * 4)?;
        gpu.write(&index, 0, bytemuck::cast_slice(&words));
        let named = |part: &&StorePart| sorted.iter().any(|(_, row)| part.rows.contains(row));
        let parts = store.parts().iter().filter(named).cloned().collect();
        Ok(StoredPatch { store: store.clone(), columns, index: Arc::new(index), entries: sorted.len() as u32, parts })
    }

    pub fn width(&self) -> u32 {
        self.columns.len() as u32
    }

    pub fn entries(&self) -> u32 {
        self.entries
    }

    pub(crate) fn index(&self) -> Arc<Memory> {
        self.index.clone()
    }

    pub(crate) fn parts(&self) -> &[StorePart] {
        &self.parts
    }

    /// Numbers in a row of the store, and the first column that counts.
    pub(crate) fn place(&self) -> [u32; 2] {
        [self.store.width(), self.columns.start]
    }
}
