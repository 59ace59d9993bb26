//! Activations to be put in the place of others, by position.

use std::sync::Arc;

use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::memory::Memory;

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
        gpu.queue().write_buffer(&positions.buffer, 0, bytemuck::cast_slice(&index));
        gpu.queue().write_buffer(&values.buffer, 0, bytemuck::cast_slice(&table));
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
