//! Keys and values of all layers.

use std::sync::Arc;

use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::memory::Memory;

/// Keys and values of all layers, `[layers][rows, width]` f32 each, allocated once. Sequences share the rows: a
/// [`Row`](crate::Row) says where its own begin. A clone is a handle to the same cache.
#[derive(Clone, Debug)]
pub struct KvCache {
    layers: Arc<Vec<KeysAndValues>>,
    rows: u32,
    width: u32,
}

/// Two buffers a layer, so that each stays within what a device binds at once.
#[derive(Clone, Debug)]
pub(crate) struct KeysAndValues {
    pub keys: Arc<Memory>,
    pub values: Arc<Memory>,
}

impl KvCache {
    /// `width` is the number of key heads times the head dimension.
    pub fn new(gpu: &Gpu, layers: u32, rows: u32, width: u32) -> Result<KvCache, GpuError> {
        let bytes = u64::from(rows) * u64::from(width) * 4;
        let memory = || gpu.storage("a layer's key and value cache", bytes).map(Arc::new);
        let layers = (0..layers)
            .map(|_| Ok(KeysAndValues { keys: memory()?, values: memory()? }))
            .collect::<Result<Vec<KeysAndValues>, GpuError>>()?;
        Ok(KvCache { layers: Arc::new(layers), rows, width })
    }

    /// Rows of the cache: positions of all sequences together.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Numbers in a key (and in a value): key heads times head dimension.
    pub fn width(&self) -> u32 {
        self.width
    }

    pub(crate) fn layer(&self, layer: u32) -> Option<&KeysAndValues> {
        self.layers.get(layer as usize)
    }
}
