//! Captured activations that stay on the device.

use std::ops::Range;
use std::sync::Arc;

use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::memory::Memory;
use crate::plan::Want;
use crate::readback::read_words;
use crate::recorder::{PRODUCTS, Recorder};
use crate::step::{Draw, Row, Step};
use crate::vector::Vector;

/// Bytes that are brought back at a time.
const READ: u64 = 32 << 20;

/// Captured activations `[rows, width]` f32 on the device, split by rows where it cannot bind them whole. A clone is a
/// handle to the same store.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    gpu: Gpu,
    rows: u32,
    width: u32,
    parts: Vec<StorePart>,
}

/// A run of a store's rows that the device can bind.
#[derive(Clone, Debug)]
pub(crate) struct StorePart {
    pub rows: Range<u32>,
    pub memory: Arc<Memory>,
}

impl Store {
    /// Errors where the store is empty, where a single row exceeds what the device binds, or where its memory is
    /// exhausted.
    pub fn new(gpu: &Gpu, rows: u32, width: u32) -> Result<Store, GpuError> {
        if rows == 0 || width == 0 {
            return Err(GpuError::Validation(format!("a store cannot be {rows} by {width}")));
        }
        let row_bytes = u64::from(width) * 4;
        let limit = gpu.binding_limit();
        if row_bytes > limit {
            return Err(GpuError::TooLarge { what: "one row of a store".to_owned(), bytes: row_bytes, limit });
        }
        // Whole pairs: see [`Store::row_products`].
        let rows_a_part = match gpu.shard_rows(row_bytes).min(u64::from(rows)) as u32 {
            few @ ..=1 => few,
            many => many & !1,
        };
        let parts = (0..rows)
            .step_by(rows_a_part as usize)
            .map(|first| {
                let rows = first..first + rows_a_part.min(rows - first);
                let memory = gpu.storage("captured activations", row_bytes * rows.len() as u64)?;
                Ok(StorePart { rows, memory: Arc::new(memory) })
            })
            .collect::<Result<Vec<StorePart>, GpuError>>()?;
        Ok(Store(Arc::new(Inner { gpu: gpu.clone(), rows, width, parts })))
    }

    pub fn rows(&self) -> u32 {
        self.0.rows
    }

    pub fn width(&self) -> u32 {
        self.0.width
    }

    /// Bytes that the store takes on the device.
    pub fn bytes(&self) -> u64 {
        self.0.parts.iter().map(|part| part.memory.bytes()).sum()
    }

    /// Brings `count` rows back, from row `first` on: `[count, width]`, as every step submitted so far left them. Errors
    /// where they run past the end, and where the device is lost.
    pub async fn read(&self, first: u32, count: u32) -> Result<Vec<f32>, GpuError> {
        let Inner { gpu, rows, width, parts } = &*self.0;
        if u64::from(first) + u64::from(count) > u64::from(*rows) {
            return Err(GpuError::Validation(format!("{count} rows from row {first} of a store of {rows}")));
        }
        let row_bytes = u64::from(*width) * 4;
        let rows_at_once = (READ / row_bytes).max(1) as u32;
        let mut values = Vec::with_capacity(count as usize * *width as usize);
        for part in parts {
            let end = part.rows.end.min(first + count);
            let mut row = part.rows.start.max(first);
            while row < end {
                let next = end.min(row + rows_at_once);
                let offset = u64::from(row - part.rows.start) * row_bytes;
                let words = read_words(gpu, &part.memory, offset, u64::from(next - row) * row_bytes).await?;
                values.extend(words.into_iter().map(f32::from_bits));
                row = next;
            }
        }
        Ok(values)
    }

    /// The sum of all rows, each times its weight, as every step submitted so far left them: `[width]`. It is made on the
    /// device: no row comes back. Errors where there are not as many weights as rows, memory is exhausted, or the device
    /// is lost.
    pub async fn weighted_sum(&self, weights: &[f32]) -> Result<Vec<f32>, GpuError> {
        Ok(Store::weighted_sums(&[self], weights).await?.swap_remove(0))
    }

    /// The same of several stores of one device, in their order, in one submit.
    pub async fn weighted_sums(stores: &[&Store], weights: &[f32]) -> Result<Vec<Vec<f32>>, GpuError> {
        let Some(gpu) = device_of(stores)? else { return Ok(Vec::new()) };
        let mut recorder = Recorder::new(gpu, 1);
        let weights = Vector::new(gpu, weights)?;
        for store in stores {
            recorder.weighted_sum(store, &weights);
        }
        taps_of(recorder).await
    }

    /// For each row of each store its product with the vector beside the store, with itself, and with the other row of
    /// its pair (rows 0 and 1, 2 and 3, ...; 0 where there is no other): all that comes back. Errors where a vector is
    /// not as wide as the rows, the stores lie on different devices, memory is exhausted, or the device is lost.
    pub async fn row_products(of: &[(&Store, &[f32])]) -> Result<Vec<Vec<[f32; 3]>>, GpuError> {
        let stores: Vec<&Store> = of.iter().map(|(store, _)| *store).collect();
        let Some(gpu) = device_of(&stores)? else { return Ok(Vec::new()) };
        let mut recorder = Recorder::new(gpu, 1);
        for (store, vector) in of {
            recorder.row_products(store, &Vector::new(gpu, vector)?);
        }
        let products = |tap: Vec<f32>| tap.as_chunks::<PRODUCTS>().0.to_vec();
        Ok(taps_of(recorder).await?.into_iter().map(products).collect())
    }

    /// Whether the store lies on this device.
    pub fn is_on(&self, gpu: &Gpu) -> bool {
        self.0.gpu.is(gpu)
    }

    pub(crate) fn parts(&self) -> &[StorePart] {
        &self.0.parts
    }
}

/// The device on which all of the stores lie; `None` of none.
fn device_of<'a>(stores: &[&'a Store]) -> Result<Option<&'a Gpu>, GpuError> {
    let gpu = stores.first().map(|store| &store.0.gpu);
    match gpu.is_none_or(|gpu| stores.iter().all(|store| store.is_on(gpu))) {
        true => Ok(gpu),
        false => Err(GpuError::Validation("stores of different devices in one reading".to_owned())),
    }
}

/// Runs what was recorded for one row, and reads its taps.
async fn taps_of(recorder: Recorder) -> Result<Vec<Vec<f32>>, GpuError> {
    let plan = recorder.finish()?;
    let step = Step { rows: &[Row::default()], picks: &[], sampling: Draw::GREEDY, coefficients: &[] };
    let ticket = plan.submit(&step, Want { taps: true, ..Want::default() })?;
    Ok(plan.read(ticket).await?.taps)
}
