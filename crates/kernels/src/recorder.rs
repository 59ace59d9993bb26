//! Recording a plan: each operation becomes one dispatch, or a few.

mod attention;
mod captures;
mod conditions;
mod dense;
mod edit_directions;
mod edits;
mod elementwise;
mod features;
mod head_results;
mod linear;
mod norms;
mod penalty;
mod row_products;
mod scores;
mod token_logits;
mod tokens;
mod training;
mod weighted_sum;

pub use conditions::Gate;
pub use dense::{Beside, Product, Table};
pub use edit_directions::Coordinate;
pub use edits::{Columns, When};

use std::ops::Range;
use std::sync::Arc;

pub use attention::{Heads, Rope, Rotation};
pub use elementwise::Activation;
pub use features::MOST_STRONGEST;
pub use norms::{Norm, NormKind};
pub use training::{BatchCut, Figures, Learnt, PreGradients, StepRule, WeightedSums};

use crate::act::{Act, Arena, Over};
use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::grid::{Along, Grid};
use crate::kernel::Kernel;
use crate::memory::Memory;
use crate::plan::{Bounds, Plan, Tapped};
use crate::step::{ALTERNATIVES, LANES, TapRows};
use crate::store::StorePart;
use crate::vector::Vector;

pub(crate) use row_products::PRODUCTS;

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

impl Bound {
    fn optional(vector: Option<&Vector>) -> Bound {
        vector.map_or(Bound::Unused, |vector| Bound::Memory(vector.memory()))
    }
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
                positions: u32::MAX,
                alternatives: 0,
                store_rows: u32::MAX,
                store_rows_of_picks: u32::MAX,
            },
            weight_bytes: 0,
            fault,
        }
    }

    /// The rows that the picks name, in their order: `[picks, width]`.
    pub fn pick_rows(&mut self, x: &Act) -> Act {
        self.expect(x.over == Over::Rows, || "rows picked twice".to_owned());
        let y = self.act(Over::Picks, x.width());
        self.copy_rows(x, 0..x.width(), self.bind(&y), y.stride(), Over::Picks);
        y
    }

    /// x as it is at this point, whatever is done to it in place afterwards.
    pub fn copy(&mut self, x: &Act) -> Act {
        let y = self.act(x.over, x.width());
        self.copy_rows(x, 0..x.width(), self.bind(&y), y.stride(), x.over);
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
