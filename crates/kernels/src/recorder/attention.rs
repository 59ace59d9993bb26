//! Attention in two dispatches: keys and values into the cache, then scores, softmax and mix at once.

use crate::act::{Act, Over};
use crate::attention_text::HeadBlock;
use crate::grid::{Along, Grid};
use crate::kernel::Kernel;
use crate::kv_cache::{KeysAndValues, KvCache};
use crate::linear_text::FEW_ROWS;
use crate::recorder::{Bound, Recorded, Recorder};
use crate::spans::{Share, Spans, most_spans};
use crate::vector::Vector;

/// The heads of an attention layer. `heads` is a multiple of `kv_heads`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heads {
    pub heads: u32,
    pub kv_heads: u32,
    /// At most 256.
    pub head_dim: u32,
    /// Multiplies the scores.
    pub scale: f32,
    /// Scaled scores become `cap * tanh(score / cap)` (Gemma 2).
    pub soft_cap: Option<f32>,
    /// A token attends to the last `window` tokens, itself included.
    pub window: Option<u32>,
}

/// Rotary position embedding of queries and keys.
#[derive(Clone, Debug)]
pub struct Rope {
    /// Pairs are neighbours (2i, 2i + 1), as in GGUF's Llama layout; else (i, i + dims / 2).
    pub interleaved: bool,
    /// Rotated dimensions of a head, even; those beyond stay as they are.
    pub dims: u32,
    /// `dims / 2` numbers, radians a position.
    pub inverse_frequencies: Vector,
}

/// What happens to queries and keys before they meet: an RMS norm of each head (Qwen3, Gemma 3) with a gain
/// `[head_dim]`, then the rotation. Without either they stay as they are (GPT-2).
#[derive(Clone, Copy, Debug, Default)]
pub struct Rotation<'a> {
    pub rope: Option<&'a Rope>,
    pub q_norm: Option<&'a Vector>,
    pub k_norm: Option<&'a Vector>,
    /// Of both norms.
    pub epsilon: f32,
    /// Whether the rotated keys stay beside the queries too, for whoever looks at them.
    pub keeps_keys: bool,
}

impl<'a> From<&'a Rope> for Rotation<'a> {
    fn from(rope: &'a Rope) -> Rotation<'a> {
        Rotation { rope: Some(rope), ..Rotation::default() }
    }
}

impl Heads {
    /// What the kernels' dims call the cap: 0 is none.
    pub(super) fn cap_bits(&self) -> u32 {
        self.soft_cap.unwrap_or(0.0).to_bits()
    }

    pub(super) fn window_or_all(&self) -> u32 {
        self.window.unwrap_or(u32::MAX)
    }
}

impl Recorder {
    /// Normalises and rotates the queries of `qkv` (`[rows, (heads + 2 kv_heads) * head_dim]`: queries, keys, values) in
    /// place, and appends keys, treated the same way, and values to the cache. In what is returned, the first
    /// `heads * head_dim` columns are the queries that [`Recorder::attention`] wants.
    pub fn rope_append<'a>(
        &mut self,
        qkv: Act,
        rotation: impl Into<Rotation<'a>>,
        kv: &KvCache,
        layer: u32,
        heads: &Heads,
    ) -> Act {
        let Rotation { rope, q_norm, k_norm, epsilon, keeps_keys } = rotation.into();
        let Heads { heads, kv_heads, head_dim, .. } = *heads;
        let all_heads = heads + 2 * kv_heads;
        let fits = qkv.over == Over::Rows && qkv.width() == all_heads * head_dim && kv.width() == kv_heads * head_dim;
        self.expect(fits && (1..=256).contains(&head_dim), || {
            format!("{all_heads} heads of {head_dim} in width {} and a cache of {}", qkv.width(), kv.width())
        });
        let dims = rope.map_or(0, |rope| rope.dims);
        let pairs = rope.map_or(0, |rope| rope.inverse_frequencies.len());
        self.expect(dims <= head_dim && dims as usize == 2 * pairs, || {
            format!("{dims} rotated dimensions with {pairs} frequencies in heads of {head_dim}")
        });
        for gain in [q_norm, k_norm].into_iter().flatten() {
            self.expect(gain.len() == head_dim as usize, || {
                format!("a norm of {} on a head of {head_dim}", gain.len())
            });
        }
        let Some(KeysAndValues { keys, values }) = self.cached(kv, layer) else { return qkv };
        self.recorded.push(Recorded {
            kernels: vec![Kernel::RopeAppend],
            dims: vec![
                heads,
                kv_heads,
                head_dim,
                dims,
                u32::from(rope.is_some_and(|rope| rope.interleaved)),
                qkv.stride(),
                u32::from(q_norm.is_some()),
                u32::from(k_norm.is_some()),
                epsilon.to_bits(),
                u32::from(keeps_keys),
            ],
            bound: vec![
                Bound::Rows,
                Bound::optional(rope.map(|rope| &rope.inverse_frequencies)),
                self.bind(&qkv),
                Bound::Memory(keys),
                Bound::Memory(values),
                Bound::optional(q_norm),
                Bound::optional(k_norm),
            ],
            grid: Grid { across: all_heads, along: Along::Rows },
        });
        qkv
    }

    /// Causal attention of each row over its own sequence; the queries are the first `heads * head_dim` columns of `q`.
    /// Returns `[rows, heads * head_dim]`.
    pub fn attention(&mut self, q: &Act, kv: &KvCache, layer: u32, heads: &Heads) -> Act {
        let y = self.act(Over::Rows, heads.heads * heads.head_dim);
        self.expect_queries(q, kv, heads);
        let Some(KeysAndValues { keys, values }) = self.cached(kv, layer) else { return y };
        let sharing = heads.heads / heads.kv_heads.max(1);
        let block = HeadBlock::of(sharing, heads.head_dim);
        let across = heads.kv_heads * sharing.div_ceil(block.heads);
        let window = heads.window_or_all();
        let (q_bound, y_bound) = (self.bind(q), self.bind(&y));
        let record = |parts, spans_apart, grid| {
            let Heads { heads: all, kv_heads, head_dim, scale, .. } = *heads;
            let mut dims = vec![all, kv_heads, head_dim, q.stride(), y.stride(), scale.to_bits(), heads.cap_bits()];
            dims.extend([window, spans_apart]);
            let (keys, values) = (Bound::Memory(keys.clone()), Bound::Memory(values.clone()));
            let bound = vec![Bound::Rows, q_bound.clone(), keys, values, y_bound.clone(), parts];
            Recorded { kernels: vec![Kernel::Attention(block)], dims, bound, grid }
        };
        // Many rows keep a device busy either way: only few rows take their spans apart.
        let most = most_spans(kv.rows(), window);
        if self.row_capacity > FEW_ROWS || !Spans::can_be_apart(most) {
            self.recorded.push(record(Bound::Unused, 0, Grid { across, along: Along::Rows }));
            return y;
        }
        let Some(width) = parts_width(heads, most) else {
            self.fail(format!("attention to {} keys by {} heads of {}", kv.rows(), heads.heads, heads.head_dim));
            return y;
        };
        let parts = self.act(Over::Rows, width);
        let grid = |across, share| Grid { across, along: Along::RowsBySpans(Spans { share, window }) };
        self.recorded.push(record(Bound::Unused, 0, grid(across, Share::Together)));
        self.recorded.push(record(self.bind(&parts), most, grid(across, Share::Apart)));
        self.recorded.push(Recorded {
            kernels: vec![Kernel::AttentionMerge],
            dims: vec![heads.heads, heads.head_dim, y.stride(), most, window],
            bound: vec![Bound::Rows, self.bind(&parts), y_bound.clone()],
            grid: grid(heads.heads, Share::Merging),
        });
        y
    }

    /// `q` begins with queries of these heads, and the cache has their keys.
    pub(super) fn expect_queries(&mut self, q: &Act, kv: &KvCache, heads: &Heads) {
        let width = heads.heads * heads.head_dim;
        self.expect_heads(kv, heads);
        self.expect(q.over == Over::Rows && q.width() >= width, || {
            format!("queries of {width} in an activation of width {}", q.width())
        });
    }

    /// The heads are such as the kernels can do, and the cache has their width.
    pub(super) fn expect_heads(&mut self, kv: &KvCache, heads: &Heads) {
        let Heads { heads, kv_heads, head_dim, soft_cap, window, .. } = *heads;
        let grouped = kv_heads > 0 && heads % kv_heads == 0 && (1..=256).contains(&head_dim);
        self.expect(grouped && kv.width() == kv_heads * head_dim, || {
            format!("{heads} heads on {kv_heads} of {head_dim} with a cache of {}", kv.width())
        });
        self.expect(soft_cap.is_none_or(|cap| cap > 0.0) && window != Some(0), || {
            format!("attention with a cap of {soft_cap:?} and a window of {window:?}")
        });
    }

    /// The keys and values of a layer, which the step's rows must not exceed.
    pub(super) fn cached(&mut self, kv: &KvCache, layer: u32) -> Option<KeysAndValues> {
        self.bounds.kv_rows = self.bounds.kv_rows.min(kv.rows());
        let cached = kv.layer(layer).cloned();
        self.expect(cached.is_some(), || format!("the cache has no layer {layer}"));
        cached
    }
}

/// Floats a row of what the spans of all heads come to: for each, four for the highest score and the total, then the
/// values mixed, in fours.
fn parts_width(heads: &Heads, spans: u32) -> Option<u32> {
    heads.heads.checked_mul(spans)?.checked_mul((heads.head_dim.div_ceil(4) + 1) * 4)
}
