//! A recorded step, ready to be replayed.

use std::ops::Range;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::grid::Grid;
use crate::kernel::Kernel;
use crate::memory::Memory;
use crate::pipelines::Pipeline;
use crate::readback::{Readback, StepOutput, Ticket};
use crate::recorder::{Bound, Recorded};
use crate::step::{EDIT_SLOTS, LANE_BIT, LANES, Pick, Row, Step};

/// Offsets of bindings are multiples of this on every device.
const ALIGNMENT: u64 = 256;

/// The device's copy of a step's scalars (`shaders/step.wgsl`).
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Header {
    rows: u32,
    picks: u32,
    top_k: u32,
    share: u32,
    temperature: f32,
    seed: u32,
    store_row: u32,
    unused: u32,
    coefficients: [f32; EDIT_SLOTS],
}

/// What a step may ask of a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub rows: u32,
    pub picks: u32,
    /// Tokens of the embedding.
    pub tokens: u32,
    pub kv_rows: u32,
    /// Positions within a sequence: rows of a table of positions, columns of attention scores.
    pub positions: u32,
    /// Alternatives recorded with a drawn token.
    pub alternatives: u32,
    /// Rows of the smallest store that captures rows, and of the smallest that captures picks.
    pub store_rows: u32,
    pub store_rows_of_picks: u32,
}

/// Where a tap writes.
#[derive(Debug)]
pub(crate) struct Tapped {
    pub memory: Arc<Memory>,
    pub width: u32,
    pub over_picks: bool,
}

/// What a submit brings back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// The drawn tokens: eight bytes a pick.
    pub records: bool,
    /// With each drawn token its alternatives, where the plan records them.
    pub alternatives: bool,
    /// All taps.
    pub taps: bool,
    /// Fills the stores that the plan captures into, the first row or pick going to this row of each. `None` captures
    /// nothing.
    pub store_from: Option<u32>,
}

/// What a replay costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanStats {
    /// Those of a step that wants everything the plan records, while its texts are short.
    pub dispatches: usize,
    pub passes: usize,
    pub submits: usize,
    /// Bytes of weights that a replay reads, each once.
    pub weight_bytes: u64,
    /// Bytes that come back for a drawn token without alternatives, with its row of each tap.
    pub readback_bytes: u64,
}

#[derive(Debug)]
struct Dispatch {
    /// By the rows that they are for, ascending.
    variants: Vec<Variant>,
    bindings: wgpu::BindGroup,
    grid: Grid,
    /// Of use only to a step that wants alternatives.
    for_alternatives: bool,
    /// The rows of a store that it can write.
    stores: Option<Range<u32>>,
}

/// A kernel that a dispatch may run.
#[derive(Debug)]
struct Variant {
    /// Rows or picks up to which it is the best.
    up_to: u32,
    /// Rows or picks that a workgroup takes.
    rows: u32,
    pipeline: Arc<Pipeline>,
}

impl Dispatch {
    /// The variant for `count` rows or picks: the first that is for so many, or else the last.
    fn variant(&self, count: u32) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.up_to >= count).or(self.variants.last())
    }

    /// Whether a step with `count` rows or picks has a use for it.
    fn serves(&self, count: u32, want: Want) -> bool {
        let stored = |rows: &Range<u32>| {
            want.store_from
                .is_some_and(|first| first < rows.end && u64::from(first) + u64::from(count) > u64::from(rows.start))
        };
        (want.alternatives || !self.for_alternatives) && self.stores.as_ref().is_none_or(stored)
    }
}

/// A recorded step. [`Plan::submit`] replays it: one write, one encoder, one compute pass, one submit.
#[derive(Debug)]
pub struct Plan {
    gpu: Gpu,
    bounds: Bounds,
    dispatches: Vec<Dispatch>,
    /// The step's data: header, rows, picks, each at a multiple of [`ALIGNMENT`].
    step: Memory,
    readback: Readback,
    weight_bytes: u64,
    /// Whatever the dispatches bind lives as long as the plan.
    _bound: Vec<Arc<Memory>>,
    _dims: Memory,
}

/// Where the rows and the picks lie in a plan's step buffer, and its size.
fn step_layout(bounds: &Bounds) -> (u64, u64, u64) {
    let rows = (size_of::<Header>() as u64).next_multiple_of(ALIGNMENT);
    let picks = rows + (u64::from(bounds.rows) * size_of::<Row>() as u64).next_multiple_of(ALIGNMENT);
    (rows, picks, picks + u64::from(bounds.picks) * size_of::<Pick>() as u64)
}

impl Plan {
    pub(crate) fn new(
        gpu: Gpu,
        recorded: Vec<Recorded>,
        taps: Vec<Tapped>,
        records: Option<Arc<Memory>>,
        alternatives: Option<Arc<Memory>>,
        bounds: Bounds,
        weight_bytes: u64,
    ) -> Result<Plan, GpuError> {
        let (rows_at, picks_at, step_bytes) = step_layout(&bounds);
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let step = gpu.memory("a step", step_bytes, usage)?;
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let dims = gpu.memory("dispatches", recorded.len().max(1) as u64 * ALIGNMENT, usage)?;
        let mut dims_bytes = vec![0u32; recorded.len() * (ALIGNMENT / 4) as usize];
        for (slot, dispatch) in dims_bytes.chunks_exact_mut((ALIGNMENT / 4) as usize).zip(&recorded) {
            slot[..dispatch.dims.len()].copy_from_slice(&dispatch.dims);
        }
        gpu.write(&dims, 0, bytemuck::cast_slice(&dims_bytes));

        let mut kept = Vec::new();
        let mut dispatches = Vec::with_capacity(recorded.len());
        for (index, Recorded { kernels, bound, grid, .. }) in recorded.into_iter().enumerate() {
            let variant = |kernel: Kernel| Variant {
                up_to: kernel.up_to(),
                rows: kernel.rows_a_workgroup(),
                pipeline: gpu.pipeline(kernel),
            };
            let for_alternatives = kernels.contains(&Kernel::Alternatives);
            let variants: Vec<Variant> = kernels.into_iter().map(variant).collect();
            // They have the same bindings, so one group serves all.
            let Some(Variant { pipeline, .. }) = variants.first() else { continue };
            let part = |buffer, offset, bytes| {
                let size = wgpu::BufferSize::new(bytes);
                wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size })
            };
            let mut resources = vec![
                part(&step.buffer, 0, size_of::<Header>() as u64),
                part(&dims.buffer, index as u64 * ALIGNMENT, ALIGNMENT),
            ];
            resources.extend(bound.iter().map(|bound| match bound {
                Bound::Memory(memory) => memory.buffer.as_entire_binding(),
                Bound::Store(part) => part.memory.buffer.as_entire_binding(),
                Bound::Rows => part(&step.buffer, rows_at, u64::from(bounds.rows) * size_of::<Row>() as u64),
                Bound::Picks => part(&step.buffer, picks_at, u64::from(bounds.picks) * size_of::<Pick>() as u64),
                Bound::LaneTokens => gpu.lane_tokens().as_entire_binding(),
                Bound::Unused => gpu.unused().as_entire_binding(),
            }));
            let entries: Vec<wgpu::BindGroupEntry> = pipeline
                .bindings
                .iter()
                .zip(resources)
                .map(|(&binding, resource)| wgpu::BindGroupEntry { binding, resource })
                .collect();
            let bindings = gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &pipeline.layout,
                entries: &entries,
            });
            let stores = bound.iter().find_map(|bound| match bound {
                Bound::Store(part) => Some(part.rows.clone()),
                _ => None,
            });
            kept.extend(bound.into_iter().filter_map(|bound| match bound {
                Bound::Memory(memory) => Some(memory),
                Bound::Store(part) => Some(part.memory),
                _ => None,
            }));
            dispatches.push(Dispatch { variants, bindings, grid, for_alternatives, stores });
        }
        gpu.check()?;
        let readback = Readback::new(gpu.clone(), records, alternatives, bounds.alternatives, taps);
        Ok(Plan { gpu, bounds, dispatches, step, readback, weight_bytes, _bound: kept, _dims: dims })
    }

    /// Replays the plan on a step's data, without waiting. Errors where the step exceeds what was recorded (rows,
    /// tokens, cache rows, rows of stores), and where the device failed earlier.
    pub fn submit(&self, step: &Step, want: Want) -> Result<Ticket, GpuError> {
        self.submit_all(std::slice::from_ref(step), want)
    }

    /// Replays the plan on each of `steps` in their order, one submit a step, without waiting; what all of them bring
    /// back comes in one reading. Errors as [`Plan::submit`]; then none of them was sent.
    pub fn submit_all(&self, steps: &[Step], want: Want) -> Result<Ticket, GpuError> {
        self.gpu.check()?;
        steps.iter().try_for_each(|step| self.check(step, want))?;
        let mut gathering = self.readback.gather(steps, want)?;
        for step in steps {
            // A write takes effect between the submits before and after it.
            self.gpu.write(&self.step, 0, &self.step_bytes(step, want));
            let encoder = self.encode(step, want);
            self.readback.submit(&mut gathering, encoder, step);
        }
        Ok(self.readback.ask(gathering))
    }

    fn encode(&self, step: &Step, want: Want) -> wgpu::CommandEncoder {
        let mut encoder =
            self.gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("step") });
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            self.gpu.work_meter().pass();
            for dispatch in &self.dispatches {
                let (count, times) = dispatch.grid.along.of(step);
                if !dispatch.serves(count, want) {
                    continue;
                }
                let Some(Variant { rows, pipeline, .. }) = dispatch.variant(count) else { continue };
                if let Some([x, y, z]) = dispatch.grid.workgroups((count, times), *rows, self.gpu.groups_limit()) {
                    pass.set_pipeline(&pipeline.pipeline);
                    pass.set_bind_group(0, &dispatch.bindings, &[]);
                    pass.dispatch_workgroups(x, y, z);
                    self.gpu.work_meter().dispatch([x, y, z]);
                }
            }
        }
        encoder
    }

    /// Waits for a submit and returns what it asked for. Several submits may be under way, and be read in any order.
    pub async fn read(&self, ticket: Ticket) -> Result<StepOutput, GpuError> {
        Ok(self.read_all(ticket).await?.pop().unwrap_or_default())
    }

    /// As [`Plan::read`], of each step of a [`Plan::submit_all`] in their order.
    pub async fn read_all(&self, ticket: Ticket) -> Result<Vec<StepOutput>, GpuError> {
        self.readback.read(ticket).await
    }

    pub fn stats(&self) -> PlanStats {
        PlanStats {
            dispatches: self.dispatches.iter().filter(|dispatch| dispatch.grid.serves_short_texts()).count(),
            passes: 1,
            submits: 1,
            weight_bytes: self.weight_bytes,
            readback_bytes: 8 + self.readback.tapped_bytes(),
        }
    }

    fn check(&self, step: &Step, want: Want) -> Result<(), GpuError> {
        let Bounds { rows, picks, tokens, kv_rows, positions, .. } = self.bounds;
        let refuse = |what: String| Err(GpuError::Validation(what));
        if step.rows.len() > rows as usize || step.picks.len() > picks as usize {
            let (n, m) = (step.rows.len(), step.picks.len());
            return refuse(format!("{n} rows and {m} picks, of a plan for {rows} and {picks}"));
        }
        if step.coefficients.len() > EDIT_SLOTS {
            return refuse(format!("{} coefficients of {EDIT_SLOTS}", step.coefficients.len()));
        }
        if let Some(first) = want.store_from {
            let stores =
                [(step.rows.len(), self.bounds.store_rows), (step.picks.len(), self.bounds.store_rows_of_picks)];
            if let Some((count, limit)) =
                stores.into_iter().find(|&(n, limit)| u64::from(first) + n as u64 > limit.into())
            {
                return refuse(format!("{count} captures from row {first} of a store of {limit}"));
            }
        }
        for row in step.rows {
            let limit = if row.token & LANE_BIT == 0 { tokens } else { LANES };
            if row.token & !LANE_BIT >= limit {
                return refuse(format!("token {} of {limit}", row.token & !LANE_BIT));
            }
            if row.position >= positions {
                return refuse(format!("position {} of {positions}", row.position));
            }
            if u64::from(row.kv_start) + u64::from(row.position) >= u64::from(kv_rows) {
                return refuse(format!("position {} from {} of {kv_rows} in the cache", row.position, row.kv_start));
            }
        }
        for pick in step.picks {
            if pick.row as usize >= step.rows.len() || pick.lane >= LANES {
                return refuse(format!("a pick of row {} in lane {}", pick.row, pick.lane));
            }
        }
        Ok(())
    }

    fn step_bytes(&self, step: &Step, want: Want) -> Vec<u8> {
        let (rows_at, picks_at, bytes) = step_layout(&self.bounds);
        let mut coefficients = [0.0; EDIT_SLOTS];
        coefficients[..step.coefficients.len()].copy_from_slice(step.coefficients);
        let header = Header {
            rows: step.rows.len() as u32,
            picks: step.picks.len() as u32,
            top_k: step.sampling.top_k,
            share: crate::sample_reference::share(step.sampling.top_p),
            temperature: step.sampling.temperature,
            seed: step.sampling.seed,
            store_row: want.store_from.unwrap_or(0),
            unused: 0,
            coefficients,
        };
        let mut data = vec![0u8; bytes as usize];
        data[..size_of::<Header>()].copy_from_slice(bytemuck::bytes_of(&header));
        let mut place = |at: u64, part: &[u8]| data[at as usize..at as usize + part.len()].copy_from_slice(part);
        place(rows_at, bytemuck::cast_slice(step.rows));
        place(picks_at, bytemuck::cast_slice(step.picks));
        data
    }
}
