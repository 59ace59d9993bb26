//! The KV cache and attention over it.

use super::fused_attention;
use super::matrix::dot;
use std::ops::Range;
use tiller_kernels::Row;
use tiller_model::{LayerAttention, ModelConfig, RopeConfig};

/// Attention's shape, and the rotations of its positions.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Factor of the scores.
    pub scale: f32,
    pub soft_cap: Option<f32>,
    pub rotations: Vec<Rotation>,
    pub layers: Vec<LayerAttention>,
}

#[derive(Clone, Debug)]
pub(crate) struct Rotation {
    pub interleaved: bool,
    /// One for each pair of rotated dimensions: `base^(-2i/dims)`, divided by the model's factors.
    pub inverse_frequencies: Vec<f32>,
}

impl Rotation {
    /// `factors`: `[dims / 2]`, where the model has them.
    pub fn new(rope: &RopeConfig, factors: Option<&[f32]>) -> Rotation {
        let dims = rope.dims as usize;
        let frequency = |i: usize| {
            let plain = f64::from(rope.base).powf(-2.0 * i as f64 / dims as f64);
            let factor = factors.and_then(|f| f.get(i)).copied().unwrap_or(1.0);
            (plain / f64::from(factor) / f64::from(rope.linear_scale)) as f32
        };
        Rotation { interleaved: rope.interleaved, inverse_frequencies: (0..dims / 2).map(frequency).collect() }
    }

    /// Sine and cosine of each pair's angle at `position`.
    fn angles(&self, position: u32) -> Vec<(f32, f32)> {
        self.inverse_frequencies.iter().map(|frequency| (position as f32 * frequency).sin_cos()).collect()
    }

    /// Rotates the heads in `x` (`[heads * head_dim]`) by [`Rotation::angles`] (Su et al. 2021, "RoFormer").
    fn rotate(&self, x: &mut [f32], head_dim: usize, angles: &[(f32, f32)]) {
        let half = angles.len();
        for head in x.chunks_exact_mut(head_dim) {
            for (i, (sin, cos)) in angles.iter().enumerate() {
                // Llama's GGUF files hold each pair side by side; others keep the second half of the head apart.
                let (a, b) = if self.interleaved { (2 * i, 2 * i + 1) } else { (i, i + half) };
                (head[a], head[b]) = (head[a] * cos - head[b] * sin, head[a] * sin + head[b] * cos);
            }
        }
    }
}

impl Geometry {
    pub fn new(config: &ModelConfig, rotations: Vec<Rotation>) -> Geometry {
        Geometry {
            heads: config.heads as usize,
            kv_heads: config.kv_heads as usize,
            head_dim: config.head_dim as usize,
            scale: config.attention.scale,
            soft_cap: config.attention.soft_cap,
            rotations,
            layers: config.attention.layers.clone(),
        }
    }

    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    fn q_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// The positions that the token at `position` attends to in layer `layer`.
    pub fn visible(&self, layer: usize, position: u32) -> Range<usize> {
        let end = position as usize + 1;
        let first = self.layers[layer].window.map_or(0, |window| end.saturating_sub(window as usize));
        first..end
    }
}

/// The score of what a row may not see.
const UNSEEN: f32 = -1e30;

/// Gains `[head_dim]` of the norms of queries' and keys' heads.
pub(crate) struct HeadGains<'a> {
    pub q: &'a [f32],
    pub k: &'a [f32],
    pub epsilon: f32,
}

fn norm_heads(x: &mut [f32], gain: &[f32], epsilon: f32) {
    for head in x.chunks_exact_mut(gain.len()) {
        let root = (dot(head, head) / gain.len() as f32 + epsilon).sqrt();
        for (x, gain) in head.iter_mut().zip(gain) {
            *x = *x / root * gain;
        }
    }
}

/// Keys and values of every layer, `[rows, kv_heads * head_dim]` each. Room is taken as texts grow into it: a tab's
/// memory has to hold the weights too.
pub(crate) struct CpuKv {
    layers: Vec<(Vec<f32>, Vec<f32>)>,
}

/// Rows by which the room for a layer grows.
const ROWS_AT_ONCE: usize = 128;

/// Norms and rotates queries and keys in `qkv` (`[rows, q | k | v]`), in place.
pub(super) fn rotate(qkv: &mut [f32], rows: &[Row], norms: Option<&HeadGains>, layer: usize, geometry: &Geometry) {
    let (q_width, kv_width, head_dim) = (geometry.q_width(), geometry.kv_width(), geometry.head_dim);
    let rotation = geometry.layers[layer].rope.map(|rope| &geometry.rotations[rope]);
    for (row, qkv) in rows.iter().zip(qkv.chunks_exact_mut(q_width + 2 * kv_width)) {
        let (q, kv) = qkv.split_at_mut(q_width);
        let k = &mut kv[..kv_width];
        if let Some(norms) = norms {
            norm_heads(q, norms.q, norms.epsilon);
            norm_heads(k, norms.k, norms.epsilon);
        }
        if let Some(rotation) = rotation {
            let angles = rotation.angles(row.position);
            rotation.rotate(q, head_dim, &angles);
            rotation.rotate(k, head_dim, &angles);
        }
    }
}

impl CpuKv {
    pub fn new(layers: usize) -> CpuKv {
        CpuKv { layers: (0..layers).map(|_| (Vec::new(), Vec::new())).collect() }
    }

    pub fn bytes(&self) -> u64 {
        self.layers.iter().map(|(k, v)| size_of_val(k.as_slice()) as u64 + size_of_val(v.as_slice()) as u64).sum()
    }

    /// Appends the keys and values in `qkv` (`[rows, q | k | v]`) to the cache.
    pub fn append(&mut self, qkv: &[f32], rows: &[Row], layer: usize, geometry: &Geometry) {
        let (q_width, kv_width) = (geometry.q_width(), geometry.kv_width());
        let (keys, values) = &mut self.layers[layer];
        let last = rows.iter().map(|row| (row.kv_start + row.position) as usize).max().unwrap_or(0);
        let room = (last + 1).next_multiple_of(ROWS_AT_ONCE) * kv_width;
        for store in [&mut *keys, &mut *values].into_iter().filter(|store| store.len() < room) {
            store.reserve_exact(room - store.len());
            store.resize(room, 0.0);
        }
        for (row, qkv) in rows.iter().zip(qkv.chunks_exact(q_width + 2 * kv_width)) {
            let at = (row.kv_start + row.position) as usize * kv_width;
            let (k, v) = qkv[q_width..].split_at(kv_width);
            keys[at..at + kv_width].copy_from_slice(k);
            values[at..at + kv_width].copy_from_slice(v);
        }
    }

    /// Attention of every row's queries over its own sequence up to itself: `[rows, heads * head_dim]`.
    pub fn attention(&self, qkv: &[f32], rows: &[Row], layer: usize, geometry: &Geometry) -> Vec<f32> {
        let (keys, values) = &self.layers[layer];
        fused_attention::attention(qkv, keys, values, rows, layer, geometry)
    }

    /// Scores as they are before the softmax: `[rows, heads * keys]`.
    pub fn scores(&self, qkv: &[f32], rows: &[Row], layer: usize, keys: usize, geometry: &Geometry) -> Vec<f32> {
        let mut scores = vec![UNSEEN; rows.len() * geometry.heads * keys];
        for (i, scores) in scores.chunks_exact_mut(keys).enumerate() {
            let (r, head) = (i / geometry.heads, i % geometry.heads);
            let seen = geometry.visible(layer, rows[r].position);
            scores[seen].copy_from_slice(&self.scores_of(qkv, rows, r, head, layer, geometry));
        }
        scores
    }

    /// The values mixed by a pattern `[rows, heads * keys]`: `[rows, heads * head_dim]`.
    pub fn mix_all(&self, pattern: &[f32], rows: &[Row], layer: usize, keys: usize, geometry: &Geometry) -> Vec<f32> {
        let mut z = vec![0.0; rows.len() * geometry.q_width()];
        for (i, (z, pattern)) in z.chunks_exact_mut(geometry.head_dim).zip(pattern.chunks_exact(keys)).enumerate() {
            let (row, head) = (&rows[i / geometry.heads], i % geometry.heads);
            let seen = geometry.visible(layer, row.position);
            self.mix(&pattern[seen.clone()], row.kv_start as usize + seen.start, head, layer, geometry, z);
        }
        z
    }

    /// The scores of one head of row `r` for the keys that it may see.
    fn scores_of(
        &self,
        qkv: &[f32],
        rows: &[Row],
        r: usize,
        head: usize,
        layer: usize,
        geometry: &Geometry,
    ) -> Vec<f32> {
        let Geometry { heads, kv_heads, head_dim, scale, soft_cap, .. } = *geometry;
        let kv_width = geometry.kv_width();
        let qkv_width = geometry.q_width() + 2 * kv_width;
        let seen = geometry.visible(layer, rows[r].position);
        let first = rows[r].kv_start as usize;
        let keys = &self.layers[layer].0[(first + seen.start) * kv_width..(first + seen.end) * kv_width];
        let q = &qkv[r * qkv_width + head * head_dim..][..head_dim];
        let at = head / (heads / kv_heads) * head_dim;
        let score = |k: &[f32]| {
            let score = dot(q, &k[at..at + head_dim]) * scale;
            soft_cap.map_or(score, |cap| cap * (score / cap).tanh())
        };
        keys.chunks_exact(kv_width).map(score).collect()
    }

    /// Adds the values from cache row `first` on, each times its weight.
    fn mix(&self, pattern: &[f32], first: usize, head: usize, layer: usize, geometry: &Geometry, z: &mut [f32]) {
        let kv_width = geometry.kv_width();
        let at = head / (geometry.heads / geometry.kv_heads) * geometry.head_dim;
        let values = &self.layers[layer].1[first * kv_width..];
        for (weight, v) in pattern.iter().zip(values.chunks_exact(kv_width)) {
            for (z, v) in z.iter_mut().zip(&v[at..]) {
                *z += weight * v;
            }
        }
    }
}

pub(super) fn softmax(x: &mut [f32]) {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for x in x.iter_mut() {
        *x = (*x - max).exp();
        sum += *x;
    }
    for x in x {
        *x /= sum;
    }
}
