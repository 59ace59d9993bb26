//! The engine: weights, KV cache and plans of one model on one backend, and the stepping through them.

use crate::cpu::{Cpu, CpuKv, CpuPass, Geometry, Latches, Rotation, StepState, Team, Way};
use crate::edit::{Edit, PlannedEdit, plan_edits};
use crate::features::{Encoders, FeatureReading};
use crate::forward::forward;
use crate::generate::DECODE_ROWS;
use crate::gpu::{GpuPass, GpuState};
use crate::pass_shape::{Head, PassShape, keys_for};
use crate::readings::MOST_STEPS_A_READING;
use crate::weights::{Weights, read_vector};
use crate::{Controls, EngineError};
use std::rc::Rc;
use tiller_kernels::{Gpu, LANES, Plan, PlanStats, Step, StepOutput, Store, Ticket, Want};
use tiller_model::{Checkpoint, LayerAttention, ModelConfig, RopeFactors};
use tiller_sites::Site;

/// Rows (tokens) of a prefill step. On a slow GPU a step of this size stays well under the two seconds after which some
/// systems reset the device.
pub(crate) const PREFILL_ROWS: u32 = 128;

/// Plans kept: a run needs two (prefill, decode), and returning to the run before should not record again.
const PLANS_KEPT: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendKind {
    Cpu,
    Gpu,
}

impl BackendKind {
    pub fn name(self) -> &'static str {
        match self {
            BackendKind::Cpu => "cpu",
            BackendKind::Gpu => "gpu",
        }
    }
}

/// A model that is ready to run.
pub struct Engine {
    config: ModelConfig,
    /// Tokens for which the KV cache has room, over all sequences of a job.
    kv_rows: u32,
    pub(crate) backend: Backend,
    /// See [`Engine::read_together`].
    steps_a_reading: usize,
}

pub(crate) enum Backend {
    Cpu { weights: Weights<Cpu>, state: Box<StepState> },
    Gpu { gpu: Gpu, weights: Weights<Gpu>, state: GpuState, plans: Vec<Recorded> },
}

/// A plan, and what it was recorded for.
pub(crate) struct Recorded {
    capacity: u32,
    shape: PassShape,
    plan: Rc<Plan>,
    tapped: Rc<[Site]>,
}

/// Steps on their way, whose results come together.
pub(crate) struct Pending {
    steps: InFlight,
    tapped: Rc<[Site]>,
}

enum InFlight {
    Done(Vec<StepOutput>),
    OnGpu(Rc<Plan>, Ticket),
}

impl Pending {
    /// The results of the one step, and the tapped sites in the order of the taps.
    pub async fn collect(self) -> Result<(StepOutput, Rc<[Site]>), EngineError> {
        let tapped = self.tapped.clone();
        Ok((self.collect_all().await?.pop().unwrap_or_default(), tapped))
    }

    /// The results of each step, in their order.
    pub async fn collect_all(self) -> Result<Vec<StepOutput>, EngineError> {
        match self.steps {
            InFlight::Done(outputs) => Ok(outputs),
            InFlight::OnGpu(plan, ticket) => Ok(plan.read_all(ticket).await?),
        }
    }
}

/// What a decode step costs, counted from its plan.
pub type StepCost = PlanStats;

impl Engine {
    /// Loads a model onto `gpu`. `kv_rows`: tokens for which there is room, over all sequences that run side by side.
    pub async fn on_gpu(
        gpu: Gpu,
        config: ModelConfig,
        checkpoint: &impl Checkpoint,
        kv_rows: u32,
        controls: &impl Controls,
        progress: impl FnMut(u64, u64),
    ) -> Result<Engine, EngineError> {
        let geometry = Geometry::new(&config, rotations(&config, checkpoint).await?);
        let state = GpuState::new(&gpu, &config, &geometry, kv_rows)?;
        let weights = Weights::load(&gpu, &config, checkpoint, controls, progress).await?;
        // A browser tells only afterwards that there was no memory for them.
        gpu.settled().await?;
        let backend = Backend::Gpu { gpu, weights, state, plans: Vec::new() };
        Ok(Engine { config, kv_rows, backend, steps_a_reading: 1 })
    }

    /// Loads a model into memory, to be run on the CPU.
    pub async fn on_cpu(
        config: ModelConfig,
        checkpoint: &impl Checkpoint,
        kv_rows: u32,
        controls: &impl Controls,
        progress: impl FnMut(u64, u64),
    ) -> Result<Engine, EngineError> {
        let geometry = Geometry::new(&config, rotations(&config, checkpoint).await?);
        let weights = Weights::load(&Cpu, &config, checkpoint, controls, progress).await?;
        let state = Box::new(StepState {
            kv: CpuKv::new(config.layers as usize),
            geometry,
            lane_tokens: [0; LANES as usize],
            latches: Latches::default(),
            text: Vec::new(),
            encoders: Encoders::default(),
            team: None,
        });
        Ok(Engine { config, kv_rows, backend: Backend::Cpu { weights, state }, steps_a_reading: 1 })
    }

    /// From now on, `team` takes a part in the CPU's products; what it holds of another model it forgets. The numbers
    /// stay the same to the bit. On the GPU this does nothing.
    pub fn work_with(&mut self, team: Rc<Team>) {
        if let Backend::Cpu { state, .. } = &mut self.backend {
            team.forget();
            state.team = Some(team);
        }
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    pub fn kv_rows(&self) -> u32 {
        self.kv_rows
    }

    /// From now on, on a GPU, the results of `steps` (1 to [`MOST_STEPS_A_READING`]) written tokens are brought back by
    /// one mapping. The tokens stay the same.
    pub fn read_together(&mut self, steps: usize) {
        self.steps_a_reading = steps.clamp(1, MOST_STEPS_A_READING);
    }

    /// Steps of writing whose results come together.
    pub fn steps_a_reading(&self) -> usize {
        match self.backend() {
            BackendKind::Gpu => self.steps_a_reading,
            BackendKind::Cpu => 1,
        }
    }

    pub fn backend(&self) -> BackendKind {
        match self.backend {
            Backend::Cpu { .. } => BackendKind::Cpu,
            Backend::Gpu { .. } => BackendKind::Gpu,
        }
    }

    /// The GPU this engine runs on, if it does.
    pub fn gpu(&self) -> Option<&Gpu> {
        match &self.backend {
            Backend::Gpu { gpu, .. } => Some(gpu),
            Backend::Cpu { .. } => None,
        }
    }

    /// Bytes that weights and KV cache take on the device.
    pub fn device_bytes(&self) -> u64 {
        match &self.backend {
            Backend::Gpu { gpu, .. } => gpu.allocated_bytes(),
            Backend::Cpu { weights, state } => weights.bytes() + state.kv.bytes(),
        }
    }

    /// Bytes of keys and values that attention of the token at `position` (counted from 0) reads, over all layers.
    pub fn kv_bytes_read(&self, position: u32) -> u64 {
        let keys = |layer: &LayerAttention| u64::from(layer.window.unwrap_or(u32::MAX).min(position.saturating_add(1)));
        let keys: u64 = self.config.attention.layers.iter().map(keys).sum();
        keys * 2 * u64::from(self.config.kv_width()) * size_of::<f32>() as u64
    }

    /// Bytes of matrices that the pass of one written token reads. On the GPU `None` before such a pass was recorded.
    pub fn weight_bytes_read(&self) -> Option<u64> {
        match &self.backend {
            Backend::Gpu { .. } => self.step_cost(DECODE_ROWS).map(|cost| cost.weight_bytes),
            Backend::Cpu { weights, .. } => Some(weights.bytes_of_a_token()),
        }
    }

    /// What the newest plan for `capacity` rows costs a step. `None` on the CPU, and before such a plan was recorded.
    pub fn step_cost(&self, capacity: u32) -> Option<StepCost> {
        match &self.backend {
            Backend::Gpu { plans, .. } => plans.iter().rev().find(|r| r.capacity == capacity).map(|r| r.plan.stats()),
            Backend::Cpu { .. } => None,
        }
    }

    /// Checks edits against the model, and makes them the edits of a shape, for sequences of up to `tokens`. Returns with
    /// them for how many keys attention patterns have room: 0 where neither they nor `taps` touch such.
    pub(crate) fn plan(
        &self,
        edits: &[Edit],
        taps: &[Site],
        tokens: u32,
    ) -> Result<(Vec<PlannedEdit>, u32), EngineError> {
        for site in taps {
            self.config.check_site(*site)?;
        }
        for edit in edits {
            if edit.cache().is_some_and(|cache| !cache.lies_on(self.gpu())) {
                return Err(edit.misfit("its activations were captured on another device: capture them again".into()));
            }
        }
        let keys = keys_for(taps.iter().chain(edits.iter().map(|edit| &edit.site)), tokens);
        Ok((plan_edits(edits, &self.config, keys)?, keys))
    }

    /// Checks that a reading of features fits the model.
    pub(crate) fn check_reading(&self, reading: &FeatureReading) -> Result<(), EngineError> {
        self.config.check_site(reading.site)?;
        reading.check(self.config.site_width(reading.site, 0) as usize)
    }

    pub(crate) fn check_tokens(&self, tokens: &[u32]) -> Result<(), EngineError> {
        if tokens.is_empty() {
            return Err(EngineError::Empty);
        }
        match tokens.iter().find(|&&token| token >= self.config.vocab) {
            Some(&token) => Err(EngineError::UnknownToken(token)),
            None => Ok(()),
        }
    }

    /// Forgets the plans that hold a run's captured activations, which may take much of the device's memory.
    pub(crate) fn forget_caches(&mut self) {
        if let Backend::Gpu { plans, .. } = &mut self.backend {
            plans.retain(|recorded| recorded.shape.edits.iter().all(|edit| edit.cache().is_none()));
        }
    }

    /// A plan whose taps fill `stores`. It is not kept: it belongs to its stores.
    pub(crate) fn record_capture(
        &mut self,
        capacity: u32,
        shape: &PassShape,
        stores: Vec<(Site, Store)>,
    ) -> Result<CapturePlan, EngineError> {
        let Backend::Gpu { gpu, weights, state, .. } = &self.backend else {
            unreachable!("on the CPU, activations are kept as they are read");
        };
        let mut pass = GpuPass::new(gpu, capacity, state, self.config.vocab, &shape.edits)?;
        pass.capture_into(stores);
        forward(&mut pass, &self.config, weights, shape)?;
        Ok(CapturePlan(pass.finish()?))
    }

    /// Sends a step on its way. `capacity` chooses the kernels (see [`Recorder::new`]) and must hold the step's rows.
    pub(crate) fn submit(&mut self, capacity: u32, shape: &PassShape, step: &Step) -> Result<Pending, EngineError> {
        self.submit_all(capacity, shape, std::slice::from_ref(step))
    }

    /// Sends steps on their way, one after the other, whose results come together.
    pub(crate) fn submit_all(
        &mut self,
        capacity: u32,
        shape: &PassShape,
        steps: &[Step],
    ) -> Result<Pending, EngineError> {
        match &mut self.backend {
            Backend::Cpu { weights, state } => {
                let mut outputs = Vec::with_capacity(steps.len());
                let mut tapped = Vec::new();
                for step in steps {
                    let mut pass = CpuPass::new(step, state, &shape.edits, way(capacity));
                    tapped = forward(&mut pass, &self.config, weights, shape)?;
                    outputs.push(StepOutput { drawn: pass.drawn, taps: pass.taps });
                }
                Ok(Pending { steps: InFlight::Done(outputs), tapped: tapped.into() })
            }
            Backend::Gpu { gpu, weights, state, plans } => {
                let draws = matches!(shape.head, Head::Draw { .. });
                let want = Want {
                    records: draws,
                    alternatives: shape.head == Head::Draw { alternatives: true },
                    taps: shape.reads(),
                    ..Want::default()
                };
                let (plan, tapped) = recorded(gpu, &self.config, weights, state, plans, capacity, shape)?;
                let ticket = plan.submit_all(steps, want)?;
                Ok(Pending { steps: InFlight::OnGpu(plan, ticket), tapped })
            }
        }
    }
}

/// A recorded pass that captures into stores.
pub(crate) struct CapturePlan(Plan);

impl CapturePlan {
    /// Runs a step and waits for it; its first row (or pick) goes to row `store_from` of each store.
    pub async fn capture(&self, step: &Step<'_>, store_from: u32) -> Result<(), EngineError> {
        let ticket = self.0.submit(step, Want { store_from: Some(store_from), ..Want::default() })?;
        self.0.read(ticket).await?;
        Ok(())
    }
}

/// The plan for this capacity and shape, recorded now if there is none yet.
fn recorded(
    gpu: &Gpu,
    config: &ModelConfig,
    weights: &Weights<Gpu>,
    state: &GpuState,
    plans: &mut Vec<Recorded>,
    capacity: u32,
    shape: &PassShape,
) -> Result<(Rc<Plan>, Rc<[Site]>), EngineError> {
    match plans.iter().position(|r| r.capacity == capacity && r.shape == *shape) {
        Some(at) => {
            let used = plans.remove(at);
            plans.push(used);
        }
        None => {
            if plans.len() == PLANS_KEPT {
                plans.remove(0);
            }
            let mut pass = GpuPass::new(gpu, capacity, state, config.vocab, &shape.edits)?;
            let tapped = forward(&mut pass, config, weights, shape)?.into();
            let plan = Rc::new(pass.finish()?);
            plans.push(Recorded { capacity, shape: shape.clone(), plan, tapped });
        }
    }
    let newest = plans.last().expect("a plan was found or recorded");
    Ok((newest.plan.clone(), newest.tapped.clone()))
}

/// How the CPU multiplies in a step of `capacity` rows.
fn way(capacity: u32) -> Way {
    if capacity <= DECODE_ROWS { Way::FewRows } else { Way::ManyRows }
}

/// The rotations of a model's positions.
async fn rotations(config: &ModelConfig, checkpoint: &impl Checkpoint) -> Result<Vec<Rotation>, EngineError> {
    let mut rotations = Vec::new();
    for rope in &config.attention.ropes {
        let factors = match &rope.factors {
            RopeFactors::None => None,
            RopeFactors::Tensor(name) => Some(read_vector(checkpoint, name).await?),
            RopeFactors::Values(values) => Some(values.clone()),
        };
        rotations.push(Rotation::new(rope, factors.as_deref()));
    }
    Ok(rotations)
}
