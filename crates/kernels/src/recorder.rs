//! Recording a plan: each operation becomes one dispatch, or a few.

mod captures;
mod conditions;
mod edit_directions;
mod edits;
mod penalty;

pub use conditions::Gate;
pub use edit_directions::Coordinate;
pub use edits::{Columns, When};

use std::ops::Range;
use std::sync::Arc;

use crate::act::{Act, Arena, Over};
use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::grid::{Along, Grid};
use crate::kernel::Kernel;
use crate::kv_cache::KvCache;
use crate::linear_text::{NORMED_ROWS, ROW_BLOCKS};
use crate::matrix::Matrix;
use crate::memory::Memory;
use crate::plan::{Bounds, Plan, Tapped};
use crate::step::{ALTERNATIVES, LANES, TapRows};
use crate::store::StorePart;
use crate::vector::Vector;

/// The heads of an attention layer. `heads` is a multiple of `kv_heads`; `scale` multiplies the scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heads {
    pub heads: u32,
    pub kv_heads: u32,
    /// At most 256.
    pub head_dim: u32,
    pub scale: f32,
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

/// Names a tap of a plan: its index in [`StepOutput::taps`](crate::StepOutput).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TapId(pub usize);

/// What a dispatch binds.
#[derive(Clone, Debug)]
pub(crate) enum Bound {
    Memory(Arc<Memory>),
    /// A part of a store: the dispatch is of use to steps that capture to its rows.
    Store(StorePart),
    Rows,
    Picks,
    LaneTokens,
    Unused,
}

/// A recorded dispatch. `kernels` do the same for more and more rows a workgroup; a step takes the one that suits its
/// number of rows. `bound` fills the kernel's bindings from the third on, in their order: the first two are the
/// step and `dims`.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub kernels: Vec<Kernel>,
    pub dims: Vec<u32>,
    pub bound: Vec<Bound>,
    pub grid: Grid,
}

/// Records the operations of a step, in order. An operation that cannot be (widths that do not fit, memory exhausted)
/// is remembered, and [`Recorder::finish`] returns the first such error.
#[derive(Debug)]
pub struct Recorder {
    gpu: Gpu,
    row_capacity: u32,
    arena: Arena,
    recorded: Vec<Recorded>,
    taps: Vec<Tapped>,
    records: Option<Arc<Memory>>,
    alternatives: Option<Arc<Memory>>,
    bounds: Bounds,
    weight_bytes: u64,
    fault: Option<GpuError>,
}

impl Recorder {
    /// A plan for steps of up to `row_capacity` rows and as many picks, at most [`LANES`].
    pub fn new(gpu: &Gpu, row_capacity: u32) -> Recorder {
        let fault = (row_capacity == 0 || row_capacity > gpu.groups_limit())
            .then(|| GpuError::Validation(format!("a plan cannot have {row_capacity} rows")));
        Recorder {
            gpu: gpu.clone(),
            row_capacity,
            arena: Arena::default(),
            recorded: Vec::new(),
            taps: Vec::new(),
            records: None,
            alternatives: None,
            bounds: Bounds {
                rows: row_capacity,
                picks: row_capacity.min(LANES),
                tokens: u32::MAX,
                kv_rows: u32::MAX,
                alternatives: 0,
                store_rows: u32::MAX,
                store_rows_of_picks: u32::MAX,
            },
            weight_bytes: 0,
            fault,
        }
    }

    /// The rows of `table` that the step's tokens name: `[rows, cols]`.
    pub fn embed(&mut self, table: &Matrix) -> Act {
        let y = self.act(Over::Rows, table.cols());
        self.bounds.tokens = self.bounds.tokens.min(table.rows());
        self.weight_bytes += table.bytes() / u64::from(table.rows());
        for shard in table.shards() {
            let mut bound = vec![Bound::Rows, Bound::LaneTokens, self.bind(&y), Bound::Memory(shard.quants.clone())];
            bound.extend(shard.scales.clone().map(Bound::Memory));
            self.recorded.push(Recorded {
                kernels: vec![Kernel::Embed(table.quant())],
                dims: vec![table.cols(), shard.first_row, shard.rows, table.rows(), y.stride()],
                bound,
                grid: Grid { across: table.cols().div_ceil(8 * 64), along: Along::Rows },
            });
        }
        y
    }

    /// `gain * x / sqrt(mean(x^2) + eps)` of each row (Zhang and Sennrich 2019).
    pub fn rms_norm(&mut self, x: &Act, gain: &Vector, eps: f32) -> Act {
        self.expect(gain.len() == x.width() as usize, || format!("a norm of {} on width {}", gain.len(), x.width()));
        let y = self.act(x.over, x.width());
        self.recorded.push(Recorded {
            kernels: vec![Kernel::RmsNorm],
            dims: vec![x.width(), x.stride(), over_picks(x), eps.to_bits()],
            bound: vec![self.bind(x), Bound::Memory(gain.memory()), self.bind(&y)],
            grid: Grid { across: 1, along: along(x) },
        });
        y
    }

    /// `W x (+ bias)` of each row, the outputs of several matrices side by side. `norm` is an RMS norm (gain, epsilon)
    /// of x before: part of the kernel for few rows, a dispatch of its own for many.
    pub fn linear(&mut self, x: &Act, w: &[Matrix], bias: Option<&Vector>, norm: Option<(&Vector, f32)>) -> Act {
        let outputs = w.iter().map(Matrix::rows).sum();
        let y = self.act(x.over, outputs);
        if let (Some((gain, eps)), false) = (norm, self.folds_norm(x)) {
            let normed = self.rms_norm(x, gain, eps);
            self.multiply(&normed, w, bias, None, &y, false);
        } else {
            self.multiply(x, w, bias, norm, &y, false);
        }
        y
    }

    /// `into + W x (+ bias)`, in place.
    pub fn linear_add(&mut self, x: &Act, w: &Matrix, bias: Option<&Vector>, into: Act) -> Act {
        self.expect(into.over == x.over && into.width() == w.rows(), || {
            format!("{} outputs added to width {}", w.rows(), into.width())
        });
        self.multiply(x, std::slice::from_ref(w), bias, None, &into, true);
        into
    }

    /// A folded norm sums the squares of x again in every workgroup: for many rows, a dispatch of its own is cheaper.
    fn folds_norm(&self, x: &Act) -> bool {
        x.over == Over::Picks || self.row_capacity <= NORMED_ROWS
    }

    /// Blocks of rows for products with x: up to the first that holds all it can have.
    fn row_blocks(&self, x: &Act) -> impl Iterator<Item = u32> {
        let largest = if self.folds_norm(x) { NORMED_ROWS } else { u32::MAX };
        let enough = ROW_BLOCKS.into_iter().find(|&rows| rows >= self.capacity(x.over)).unwrap_or(u32::MAX);
        ROW_BLOCKS.into_iter().filter(move |&rows| rows <= enough && rows <= largest)
    }

    fn multiply(
        &mut self,
        x: &Act,
        matrices: &[Matrix],
        bias: Option<&Vector>,
        norm: Option<(&Vector, f32)>,
        y: &Act,
        add: bool,
    ) {
        if let Some((gain, _)) = norm {
            self.expect(gain.len() == x.width() as usize, || {
                format!("a norm of {} on width {}", gain.len(), x.width())
            });
        }
        if let Some(bias) = bias {
            self.expect(bias.len() == y.width() as usize, || {
                format!("a bias of {} on {} outputs", bias.len(), y.width())
            });
        }
        let mut first_output = 0;
        for matrix in matrices {
            self.expect(matrix.cols() == x.width(), || format!("{} inputs given width {}", matrix.cols(), x.width()));
            self.weight_bytes += matrix.bytes();
            for shard in matrix.shards() {
                let y_first = first_output + shard.first_row;
                let dims = vec![
                    matrix.cols(),
                    shard.rows,
                    x.stride(),
                    y.stride(),
                    y_first,
                    over_picks(x),
                    u32::from(norm.is_some()),
                    u32::from(bias.is_some()),
                    u32::from(add),
                    norm.map_or(0, |(_, eps)| eps.to_bits()),
                ];
                let vector = |vector: Option<&Vector>| vector.map_or(Bound::Unused, |v| Bound::Memory(v.memory()));
                let mut bound = vec![self.bind(x), self.bind(y), vector(norm.map(|(gain, _)| gain))];
                bound.extend([vector(bias), Bound::Memory(shard.quants.clone())]);
                bound.extend(shard.scales.clone().map(Bound::Memory));
                let kernels = self.row_blocks(x).map(|rows| Kernel::Linear(matrix.quant(), rows)).collect();
                let grid = Grid { across: shard.rows.div_ceil(16), along: along(x) };
                self.recorded.push(Recorded { kernels, dims, bound, grid });
            }
            first_output += matrix.rows();
        }
    }

    /// Rotates the queries of `qkv` (`[rows, (heads + 2 kv_heads) * head_dim]`: queries, keys, values) in place, and
    /// appends rotated keys and values to the cache. In what is returned, the first `heads * head_dim` columns are the
    /// queries that [`Recorder::attention`] wants.
    pub fn rope_append(&mut self, qkv: Act, rope: &Rope, kv: &KvCache, layer: u32, heads: &Heads) -> Act {
        let Heads { heads, kv_heads, head_dim, .. } = *heads;
        let all_heads = heads + 2 * kv_heads;
        let fits = qkv.over == Over::Rows && qkv.width() == all_heads * head_dim && kv.width() == kv_heads * head_dim;
        self.expect(fits && head_dim > 0, || {
            format!("{all_heads} heads of {head_dim} in width {} and a cache of {}", qkv.width(), kv.width())
        });
        let dims = rope.dims;
        let pairs = rope.inverse_frequencies.len();
        self.expect(dims <= head_dim && dims as usize == 2 * pairs, || {
            format!("{dims} rotated dimensions with {pairs} frequencies in heads of {head_dim}")
        });
        self.bounds.kv_rows = self.bounds.kv_rows.min(kv.rows());
        let Some(cache) = kv.layer(layer) else {
            self.fail(format!("the cache has no layer {layer}"));
            return qkv;
        };
        let units = all_heads * (head_dim - (dims / 2).min(head_dim));
        self.recorded.push(Recorded {
            kernels: vec![Kernel::RopeAppend],
            dims: vec![heads, kv_heads, head_dim, dims, u32::from(rope.interleaved), qkv.stride()],
            bound: vec![
                Bound::Rows,
                Bound::Memory(rope.inverse_frequencies.memory()),
                self.bind(&qkv),
                Bound::Memory(cache.keys.clone()),
                Bound::Memory(cache.values.clone()),
            ],
            grid: Grid { across: units.div_ceil(64), along: Along::Rows },
        });
        qkv
    }

    /// Causal attention of each row over its own sequence; the queries are the first `heads * head_dim` columns of `q`.
    /// Returns `[rows, heads * head_dim]`.
    pub fn attention(&mut self, q: &Act, kv: &KvCache, layer: u32, heads: &Heads) -> Act {
        let Heads { heads, kv_heads, head_dim, scale } = *heads;
        let y = self.act(Over::Rows, heads * head_dim);
        let grouped = kv_heads > 0 && heads % kv_heads == 0 && (1..=256).contains(&head_dim);
        let fits = q.over == Over::Rows && q.width() >= heads * head_dim && kv.width() == kv_heads * head_dim;
        self.expect(grouped && fits, || {
            format!("{heads} heads on {kv_heads} of {head_dim} with width {} and a cache of {}", q.width(), kv.width())
        });
        self.bounds.kv_rows = self.bounds.kv_rows.min(kv.rows());
        let Some(cache) = kv.layer(layer) else {
            self.fail(format!("the cache has no layer {layer}"));
            return y;
        };
        self.recorded.push(Recorded {
            kernels: vec![Kernel::Attention],
            dims: vec![heads, kv_heads, head_dim, q.stride(), y.stride(), scale.to_bits()],
            bound: vec![
                Bound::Rows,
                self.bind(q),
                Bound::Memory(cache.keys.clone()),
                Bound::Memory(cache.values.clone()),
                self.bind(&y),
            ],
            grid: Grid { across: heads, along: Along::Rows },
        });
        y
    }

    /// `silu(gate) * up`, where each row of `gate_up` is gate and up side by side: half the width comes out.
    pub fn swiglu(&mut self, gate_up: &Act) -> Act {
        self.expect(gate_up.width().is_multiple_of(2), || format!("gate and up in an odd width {}", gate_up.width()));
        let y = self.act(gate_up.over, gate_up.width() / 2);
        self.recorded.push(Recorded {
            kernels: vec![Kernel::Swiglu],
            dims: vec![y.width(), gate_up.stride(), y.stride(), over_picks(&y)],
            bound: vec![self.bind(gate_up), self.bind(&y)],
            grid: by_element(&y),
        });
        y
    }

    /// `into + a`, in place.
    pub fn add(&mut self, a: &Act, into: Act) -> Act {
        self.expect(a.over == into.over && a.width() == into.width(), || {
            format!("width {} added to width {}", a.width(), into.width())
        });
        self.recorded.push(Recorded {
            kernels: vec![Kernel::Add],
            dims: vec![into.width(), into.stride(), over_picks(&into)],
            bound: vec![self.bind(a), self.bind(&into)],
            grid: by_element(&into),
        });
        into
    }

    /// Column `c` of x times `factors[c]`, in place.
    pub fn scale_columns(&mut self, x: Act, factors: &Vector) -> Act {
        self.expect(factors.len() == x.width() as usize, || {
            format!("{} factors for width {}", factors.len(), x.width())
        });
        self.recorded.push(Recorded {
            kernels: vec![Kernel::ScaleColumns],
            dims: vec![x.width(), x.stride(), over_picks(&x)],
            bound: vec![Bound::Memory(factors.memory()), self.bind(&x)],
            grid: by_element(&x),
        });
        x
    }

    /// The rows that the picks name, in their order: `[picks, width]`.
    pub fn pick_rows(&mut self, x: &Act) -> Act {
        self.expect(x.over == Over::Rows, || "rows picked twice".to_owned());
        let y = self.act(Over::Picks, x.width());
        self.copy_rows(x, 0..x.width(), self.bind(&y), y.stride(), Over::Picks);
        y
    }

    /// Copies x, as it is at this point, for the host to read. Of an activation over picks, every row is copied.
    pub fn tap(&mut self, x: &Act, rows: TapRows) -> TapId {
        self.tap_columns(x, 0..x.width(), rows)
    }

    fn copy_rows(&mut self, x: &Act, columns: Range<u32>, y: Bound, y_stride: u32, over: Over) {
        let width = columns.len() as u32;
        let gather = over != x.over;
        let along = if over == Over::Picks { Along::Picks } else { Along::Rows };
        self.recorded.push(Recorded {
            kernels: vec![Kernel::CopyRows],
            dims: vec![width, x.stride(), y_stride, u32::from(over == Over::Picks), u32::from(gather), columns.start],
            bound: vec![Bound::Picks, self.bind(x), y],
            grid: Grid { across: width.div_ceil(64), along },
        });
    }

    /// Draws a token for each pick, into its lane and into the step's records; `alternatives` records the most probable
    /// tokens too, for steps that want them.
    pub fn sample(&mut self, logits: &Act, alternatives: bool) {
        self.expect(self.records.is_none(), || "tokens drawn twice in a step".to_owned());
        self.expect(logits.width() < 1 << 20, || format!("{} tokens to draw from", logits.width()));
        let picks = u64::from(self.bounds.picks);
        let dims = vec![logits.width(), logits.stride(), over_picks(logits)];
        let grid = Grid { across: 1, along: Along::Picks };
        let Some(records) = self.memory("drawn tokens", picks * 8) else { return };
        self.recorded.push(Recorded {
            kernels: vec![Kernel::Sample],
            dims: dims.clone(),
            bound: vec![Bound::Picks, self.bind(logits), Bound::LaneTokens, Bound::Memory(records.clone())],
            grid,
        });
        if alternatives {
            let Some(memory) = self.memory("alternatives", picks * ALTERNATIVES as u64 * 8) else { return };
            self.bounds.alternatives = logits.width().min(ALTERNATIVES as u32);
            self.recorded.push(Recorded {
                kernels: vec![Kernel::Alternatives],
                dims,
                bound: vec![
                    Bound::Picks,
                    self.bind(logits),
                    Bound::Memory(records.clone()),
                    Bound::Memory(memory.clone()),
                ],
                grid,
            });
            self.alternatives = Some(memory);
        }
        self.records = Some(records);
    }

    /// The plan, or the first error of the recording.
    pub fn finish(self) -> Result<Plan, GpuError> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Plan::new(
                self.gpu,
                self.recorded,
                self.taps,
                self.records,
                self.alternatives,
                self.bounds,
                self.weight_bytes,
            ),
        }
    }

    fn capacity(&self, over: Over) -> u32 {
        match over {
            Over::Rows => self.bounds.rows,
            Over::Picks => self.bounds.picks,
        }
    }

    /// A new activation: the smallest free buffer that holds it, or a new one.
    fn act(&mut self, over: Over, width: u32) -> Act {
        let bytes = u64::from(self.capacity(over)) * u64::from(Act::stride_of(width)) * 4;
        let free = {
            let mut free = self.arena.borrow_mut();
            let fits = free.iter().enumerate().filter(|(_, memory)| memory.bytes() >= bytes);
            let smallest = fits.min_by_key(|(_, memory)| memory.bytes()).map(|(index, _)| index);
            smallest.map(|index| free.swap_remove(index))
        };
        let memory = free.or_else(|| self.memory("an activation", bytes));
        Act::new(memory, over, width, &self.arena)
    }

    fn memory(&mut self, what: &str, bytes: u64) -> Option<Arc<Memory>> {
        match self.gpu.storage(what, bytes) {
            Ok(memory) => Some(Arc::new(memory)),
            Err(error) => {
                self.fault.get_or_insert(error);
                None
            }
        }
    }

    fn bind(&self, x: &Act) -> Bound {
        x.memory.clone().map_or(Bound::Unused, Bound::Memory)
    }

    fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.fail(otherwise());
        }
    }

    fn fail(&mut self, message: String) {
        self.fault.get_or_insert(GpuError::Validation(message));
    }
}

fn over_picks(x: &Act) -> u32 {
    u32::from(x.over == Over::Picks)
}

fn along(x: &Act) -> Along {
    match x.over {
        Over::Rows => Along::Rows,
        Over::Picks => Along::Picks,
    }
}

fn by_element(x: &Act) -> Grid {
    Grid { across: x.width().div_ceil(64), along: along(x) }
}
