//! What lies on the device besides the weights, and outlives plans.

use crate::EngineError;
use crate::cpu::Geometry;
use crate::features::{Dictionary, Encoders};
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use tiller_kernels::{Encoder, Gpu, Heads, KvCache, Latch, Rope, Text, Vector};
use tiller_model::{LayerAttention, ModelConfig};

/// The KV cache and what attention needs beside it; what conditions and penalties remember of the sequences.
pub(crate) struct GpuState {
    pub gpu: Gpu,
    kv_rows: u32,
    pub kv: KvCache,
    heads: Heads,
    ropes: Vec<Rope>,
    layers: Vec<LayerAttention>,
    /// By the slot of the condition. Made when first asked for.
    latches: RefCell<BTreeMap<u32, Latch>>,
    text: OnceCell<Text>,
    /// By SAE.
    encoders: Encoders<Encoder>,
}

impl GpuState {
    pub fn new(gpu: &Gpu, config: &ModelConfig, geometry: &Geometry, kv_rows: u32) -> Result<GpuState, EngineError> {
        let heads = Heads {
            heads: config.heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            scale: geometry.scale,
            soft_cap: geometry.soft_cap,
            window: None,
        };
        let rope = |rotation: &crate::cpu::Rotation| {
            let dims = 2 * rotation.inverse_frequencies.len() as u32;
            let inverse_frequencies = Vector::new(gpu, &rotation.inverse_frequencies)?;
            Ok::<_, EngineError>(Rope { interleaved: rotation.interleaved, dims, inverse_frequencies })
        };
        Ok(GpuState {
            gpu: gpu.clone(),
            kv_rows,
            kv: KvCache::new(gpu, config.layers, kv_rows, geometry.kv_width() as u32)?,
            heads,
            ropes: geometry.rotations.iter().map(rope).collect::<Result<_, _>>()?,
            layers: geometry.layers.clone(),
            latches: RefCell::default(),
            text: OnceCell::new(),
            encoders: Encoders::default(),
        })
    }

    pub fn heads(&self, layer: usize) -> Heads {
        Heads { window: self.layers[layer].window, ..self.heads }
    }

    pub fn rope(&self, layer: usize) -> Option<&Rope> {
        self.layers[layer].rope.map(|rope| &self.ropes[rope])
    }

    /// Where the condition of this slot has held: the same for every plan, so that what a prompt has set off lasts while
    /// the text is written.
    pub fn latch(&self, slot: u32) -> Result<Latch, EngineError> {
        if let Some(latch) = self.latches.borrow().get(&slot) {
            return Ok(latch.clone());
        }
        let latch = Latch::new(&self.gpu, self.kv_rows)?;
        self.latches.borrow_mut().insert(slot, latch.clone());
        Ok(latch)
    }

    /// An SAE's encoder, on the device from the first time on that it is asked for.
    pub fn encoder(&self, dictionary: &Dictionary) -> Result<Rc<Encoder>, EngineError> {
        self.encoders.of(dictionary, || super::features::encoder(&self.gpu, dictionary))
    }

    /// The token at each place of the KV cache, while tokens are remembered.
    pub fn text(&self) -> Result<Text, EngineError> {
        if let Some(text) = self.text.get() {
            return Ok(text.clone());
        }
        let text = Text::new(&self.gpu, self.kv_rows)?;
        Ok(self.text.get_or_init(|| text).clone())
    }
}
