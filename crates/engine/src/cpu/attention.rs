//! The KV cache and attention over it.

use super::matrix::dot;
use crate::parallel;
use tiller_kernels::Row;
use tiller_model::ModelConfig;

/// Attention's shape, and the rotation of its positions.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub interleaved: bool,
    /// One for each pair of rotated dimensions: `base^(-2i/dims)`, divided by the model's factors.
    pub inverse_frequencies: Vec<f32>,
}

impl Geometry {
    /// `factors`: the frequency factors of Llama 3's scaled RoPE, `[dims / 2]`, where the file has them.
    pub fn new(config: &ModelConfig, factors: Option<&[f32]>) -> Geometry {
        let dims = config.rope.dims as usize;
        let frequency = |i: usize| {
            let plain = f64::from(config.rope.base).powf(-2.0 * i as f64 / dims as f64);
            let factor = factors.and_then(|f| f.get(i)).copied().unwrap_or(1.0);
            (plain / f64::from(factor) / f64::from(config.rope.linear_scale)) as f32
        };
        Geometry {
            heads: config.heads as usize,
            kv_heads: config.kv_heads as usize,
            head_dim: config.head_dim as usize,
            interleaved: config.rope.interleaved,
            inverse_frequencies: (0..dims / 2).map(frequency).collect(),
        }
    }

    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// `1 / sqrt(head_dim)`.
    pub fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }

    /// Rotates the heads in `x` (`[heads * head_dim]`) to `position` (Su et al. 2021, "RoFormer").
    fn rotate(&self, x: &mut [f32], position: u32) {
        let half = self.inverse_frequencies.len();
        for head in x.chunks_exact_mut(self.head_dim) {
            for (i, frequency) in self.inverse_frequencies.iter().enumerate() {
                let (sin, cos) = (position as f32 * frequency).sin_cos();
                // Llama's GGUF files hold each pair side by side; others keep the second half of the head apart.
                let (a, b) = if self.interleaved { (2 * i, 2 * i + 1) } else { (i, i + half) };
                (head[a], head[b]) = (head[a] * cos - head[b] * sin, head[a] * sin + head[b] * cos);
            }
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

impl CpuKv {
    pub fn new(layers: usize) -> CpuKv {
        CpuKv { layers: (0..layers).map(|_| (Vec::new(), Vec::new())).collect() }
    }

    pub fn bytes(&self) -> u64 {
        self.layers.iter().map(|(k, v)| size_of_val(k.as_slice()) as u64 + size_of_val(v.as_slice()) as u64).sum()
    }

    /// Rotates queries and keys in `qkv` (`[rows, q | k | v]`) and appends keys and values to the cache.
    pub fn rotate_and_append(&mut self, qkv: &mut [f32], rows: &[Row], layer: usize, geometry: &Geometry) {
        let kv_width = geometry.kv_width();
        let q_width = geometry.heads * geometry.head_dim;
        let (keys, values) = &mut self.layers[layer];
        let last = rows.iter().map(|row| (row.kv_start + row.position) as usize).max().unwrap_or(0);
        let room = (last + 1).next_multiple_of(ROWS_AT_ONCE) * kv_width;
        for store in [&mut *keys, &mut *values].into_iter().filter(|store| store.len() < room) {
            store.reserve_exact(room - store.len());
            store.resize(room, 0.0);
        }
        for (row, qkv) in rows.iter().zip(qkv.chunks_exact_mut(q_width + 2 * kv_width)) {
            let (qk, v) = qkv.split_at_mut(q_width + kv_width);
            geometry.rotate(qk, row.position);
            let at = (row.kv_start + row.position) as usize * kv_width;
            keys[at..at + kv_width].copy_from_slice(&qk[q_width..]);
            values[at..at + kv_width].copy_from_slice(v);
        }
    }

    /// Attention of every row's queries over its own sequence up to itself: `[rows, heads * head_dim]`.
    pub fn attention(&self, qkv: &[f32], rows: &[Row], layer: usize, geometry: &Geometry) -> Vec<f32> {
        let Geometry { heads, kv_heads, head_dim, .. } = *geometry;
        let kv_width = geometry.kv_width();
        let qkv_width = heads * head_dim + 2 * kv_width;
        let (keys, values) = &self.layers[layer];
        let of_row = |r: usize| {
            let first = rows[r].kv_start as usize;
            let sequence = first * kv_width..(first + rows[r].position as usize + 1) * kv_width;
            let (keys, values) = (&keys[sequence.clone()], &values[sequence]);
            let mut z = vec![0.0; heads * head_dim];
            for (head, z) in z.chunks_exact_mut(head_dim).enumerate() {
                let q = &qkv[r * qkv_width + head * head_dim..][..head_dim];
                let at = head / (heads / kv_heads) * head_dim;
                let mut pattern: Vec<f32> =
                    keys.chunks_exact(kv_width).map(|k| dot(q, &k[at..at + head_dim]) * geometry.scale()).collect();
                softmax(&mut pattern);
                for (weight, v) in pattern.iter().zip(values.chunks_exact(kv_width)) {
                    for (z, v) in z.iter_mut().zip(&v[at..]) {
                        *z += weight * v;
                    }
                }
            }
            z
        };
        parallel::map(rows.len(), of_row).concat()
    }
}

fn softmax(x: &mut [f32]) {
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
