//! The device.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use futures_channel::oneshot;
use tiller_formats::Quant;

use crate::adapter::{self, AdapterSummary, Handicap, least_of, subgroup_lanes, useful};
use crate::error::GpuError;
use crate::faults::{Faults, locked};
use crate::kernel::Kernel;
use crate::memory::{Memory, Meter, POISON};
use crate::pipelines::{Pipeline, Pipelines};
use crate::readback::read_words;
use crate::step::LANES;
use crate::tiers::{Reduction, Tiers};
use crate::work::{Work, WorkMeter};

/// How long a device may take for one step before it counts as lost.
#[cfg(not(target_arch = "wasm32"))]
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);

/// A graphics device: its buffers, its compiled kernels, and the tokens that its lanes drew last. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gpu(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    device: wgpu::Device,
    queue: wgpu::Queue,
    adapter: AdapterSummary,
    meter: Arc<Meter>,
    work: WorkMeter,
    faults: Arc<Faults>,
    /// Bytes of one storage binding, at most.
    binding_limit: AtomicU64,
    /// Bytes of a part of a matrix or of a store, at most, though at least a row.
    shard_limit: AtomicU64,
    buffer_limit: u64,
    groups_limit: u32,
    tiers: Mutex<Tiers>,
    /// Threads that every subgroup has at least; 1 where there are none.
    subgroup_lanes: u32,
    pipelines: Pipelines,
    lane_tokens: Memory,
    /// Bound where a kernel has no use for a binding.
    unused: Memory,
}

fn device_binding_limit(limits: &wgpu::Limits) -> u64 {
    limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)
}

impl Gpu {
    /// Opens the fastest adapter (natively `TILLER_ADAPTER` chooses one by a part of its name) with its own limits, or
    /// with the least that every adapter has where it refuses those. Of optional features it takes subgroups.
    pub async fn open() -> Result<Gpu, GpuError> {
        let adapter = adapter::choose().await?;
        let (limits, features) = (adapter.limits(), useful(adapter.features()));
        let least = least_of(&limits);
        Gpu::on(&adapter, &[(features, limits), (wgpu::Features::empty(), least)]).await
    }

    /// The same, under a handicap. For tests.
    pub async fn open_with(handicap: Handicap) -> Result<Gpu, GpuError> {
        let adapter = adapter::choose().await?;
        let (limits, features) = (adapter.limits(), useful(adapter.features()));
        let least = least_of(&limits);
        let none = wgpu::Features::empty();
        // No adapter has workgroups that large.
        let beyond = wgpu::Limits { max_compute_invocations_per_workgroup: u32::MAX, ..limits.clone() };
        match handicap {
            Handicap::LeastLimits => Gpu::on(&adapter, &[(features, least)]).await,
            Handicap::LimitsRefused => Gpu::on(&adapter, &[(features, beyond), (none, least)]).await,
            Handicap::AllLimitsRefused => Gpu::on(&adapter, &[(features, beyond)]).await,
            Handicap::NoSubgroups => Gpu::on(&adapter, &[(none, limits)]).await,
        }
    }

    /// Opens `adapter` with the first of these features and limits that it grants.
    async fn on(adapter: &wgpu::Adapter, wanted: &[(wgpu::Features, wgpu::Limits)]) -> Result<Gpu, GpuError> {
        let (device, queue) = adapter::request(adapter, wanted).await?;
        let limits = device.limits();
        let faults = Faults::of(&device);
        let meter = Arc::new(Meter::default());
        let storage = |label, bytes| {
            let copied = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
            let usage = wgpu::BufferUsages::STORAGE | copied;
            let descriptor =
                wgpu::BufferDescriptor { label: Some(label), size: bytes, usage, mapped_at_creation: false };
            Memory::new(device.create_buffer(&descriptor), &meter)
        };
        let lane_tokens = storage("lane tokens", u64::from(LANES) * 4);
        let unused = storage("unused", 16);
        let info = adapter.get_info();
        let summary = AdapterSummary::of(&info, &device);
        let gpu = Gpu(Arc::new(Shared {
            tiers: Mutex::new(Tiers::of(&summary)),
            subgroup_lanes: subgroup_lanes(&info, device.features()),
            adapter: summary,
            faults,
            binding_limit: AtomicU64::new(device_binding_limit(&limits)),
            shard_limit: AtomicU64::new(u64::MAX),
            buffer_limit: limits.max_buffer_size,
            groups_limit: limits.max_compute_workgroups_per_dimension,
            pipelines: Pipelines::default(),
            lane_tokens,
            unused,
            meter,
            work: WorkMeter::default(),
            device,
            queue,
        }));
        gpu.check()?;
        Ok(gpu)
    }

    pub fn adapter(&self) -> &AdapterSummary {
        &self.0.adapter
    }

    /// Bytes of buffers on the device now.
    pub fn allocated_bytes(&self) -> u64 {
        self.0.meter.now()
    }

    /// The most that [`Gpu::allocated_bytes`] has been.
    pub fn peak_allocated_bytes(&self) -> u64 {
        self.0.meter.peak()
    }

    /// What the device was given to do so far.
    pub fn work(&self) -> Work {
        self.0.work.now()
    }

    /// Why the device was lost, if it was. Nothing on it can be used any more.
    pub fn lost(&self) -> Option<String> {
        self.0.faults.lost()
    }

    /// Waits until the device has done all that it was given so far, and returns the first error that came up: a browser
    /// tells only afterwards that an allocation failed. To be called when a model has been loaded.
    pub async fn settled(&self) -> Result<(), GpuError> {
        self.check()?;
        let (sender, done) = oneshot::channel();
        self.queue().on_submitted_work_done(move || {
            // Nobody may be waiting any more.
            let _ = sender.send(());
        });
        self.wait(None)?;
        // Where the device is lost, the callback may be dropped.
        let _ = done.await;
        self.check()
    }

    /// Natively nothing moves unless the device is polled; a browser runs on its own, but Firefox only looks at pending
    /// maps when work is submitted.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn wait(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<(), GpuError> {
        let poll = wgpu::PollType::Wait { submission_index, timeout: Some(PATIENCE) };
        // wgpu panics where it finds in waiting that the driver has lost the device; by then the callback knows.
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.device().poll(poll)));
        match (self.lost(), polled) {
            (Some(reason), _) => Err(GpuError::Lost(reason)),
            (None, Ok(Ok(_))) => Ok(()),
            (None, Ok(Err(error))) => Err(GpuError::Lost(error.to_string())),
            (None, Err(_)) => Err(GpuError::Lost("the driver failed".to_owned())),
        }
    }

    #[cfg(target_arch = "wasm32")]
    pub(crate) fn wait(&self, _submission_index: Option<wgpu::SubmissionIndex>) -> Result<(), GpuError> {
        self.queue().submit([]);
        Ok(())
    }

    /// Gives the device up: from now on it is lost. For tests.
    pub fn lose(&self) {
        self.device().destroy();
        // Natively the loss is told at the next poll.
        let _ = self.device().poll(wgpu::PollType::Poll);
    }

    /// Compiles every kernel that matrices of these formats can need, to find out whether the driver takes them all: a
    /// model needs far fewer, and recording its plans compiles those. `progress` is given (done, total).
    pub async fn compile(&self, quants: &[Quant], mut progress: impl FnMut(usize, usize)) -> Result<(), GpuError> {
        let kernels: Vec<Kernel> = Kernel::all(quants).collect();
        for (done, kernel) in kernels.iter().enumerate() {
            progress(done, kernels.len());
            self.compile_one(*kernel).await?;
        }
        progress(kernels.len(), kernels.len());
        Ok(())
    }

    /// Compiles one kernel and waits until the driver has accepted or refused it.
    pub async fn compile_one(&self, kernel: Kernel) -> Result<(), GpuError> {
        let scope = self.device().push_error_scope(wgpu::ErrorFilter::Validation);
        self.pipeline(kernel);
        match scope.pop().await {
            Some(error) => Err(GpuError::Validation(format!("{kernel:?}: {error}"))),
            None => self.check(),
        }
    }

    /// The kernels compiled so far for the reduction that the device is taken to be good at, in no order.
    pub fn compiled(&self) -> Vec<Kernel> {
        self.0.pipelines.made(self.lanes())
    }

    /// Sets the token that each lane, from the first on, is taken to have drawn last.
    pub fn set_lane_tokens(&self, tokens: &[u32]) {
        let tokens = &tokens[..tokens.len().min(LANES as usize)];
        self.write(&self.0.lane_tokens, 0, bytemuck::cast_slice(tokens));
    }

    /// Waits until all that was submitted is done and four bytes of a result have come back.
    pub async fn round_trip(&self) -> Result<(), GpuError> {
        read_words(self, &self.0.lane_tokens, 0, 4).await?;
        Ok(())
    }

    /// Fills buffers made from now on with garbage (NaNs as floats). For tests.
    pub fn poison_new_buffers(&self, poison: bool) {
        self.0.meter.poison.store(poison, Relaxed);
    }

    /// Lowers the largest storage binding, so that matrices made from now on are split as a smaller device would need;
    /// never beyond what the device allows. For tests.
    pub fn limit_bindings(&self, bytes: u64) {
        self.0.binding_limit.store(bytes.min(device_binding_limit(&self.device().limits())), Relaxed);
    }

    /// Makes the parts of matrices and stores made from now on smaller than they need be, down to a row. For tests.
    pub fn limit_shards(&self, bytes: u64) {
        self.0.shard_limit.store(bytes, Relaxed);
    }

    /// How many rows of `row_bytes` a part of a matrix or of a store may have: at least one.
    pub(crate) fn shard_rows(&self, row_bytes: u64) -> u64 {
        let bytes = self.binding_limit().min(self.0.shard_limit.load(Relaxed));
        (bytes / row_bytes.max(1)).max(1)
    }

    /// What the device is taken to be good at.
    pub fn tiers(&self) -> Tiers {
        *locked(&self.0.tiers)
    }

    /// Whether the device has subgroups.
    pub fn has_subgroups(&self) -> bool {
        self.0.subgroup_lanes > 1
    }

    /// Makes plans recorded from now on for these tiers; the numbers are the same. Subgroups are not used where there
    /// are none.
    pub fn set_tiers(&self, tiers: Tiers) {
        let reduction = if self.has_subgroups() { tiers.reduction } else { Reduction::Workgroup };
        *locked(&self.0.tiers) = Tiers { reduction, ..tiers };
    }

    /// The largest storage binding, in bytes.
    pub fn binding_limit(&self) -> u64 {
        self.0.binding_limit.load(Relaxed)
    }

    pub(crate) fn device(&self) -> &wgpu::Device {
        &self.0.device
    }

    pub(crate) fn queue(&self) -> &wgpu::Queue {
        &self.0.queue
    }

    /// The kernel, compiled, for the reduction that the device is taken to be good at.
    pub(crate) fn pipeline(&self, kernel: Kernel) -> Arc<Pipeline> {
        self.0.pipelines.get(self.device(), kernel, self.lanes())
    }

    fn lanes(&self) -> u32 {
        match self.tiers().reduction {
            Reduction::Workgroup => 1,
            Reduction::Subgroup => self.0.subgroup_lanes,
        }
    }

    pub(crate) fn work_meter(&self) -> &WorkMeter {
        &self.0.work
    }

    pub(crate) fn groups_limit(&self) -> u32 {
        self.0.groups_limit
    }

    pub(crate) fn lane_tokens(&self) -> &wgpu::Buffer {
        &self.0.lane_tokens.buffer
    }

    pub(crate) fn unused(&self) -> &wgpu::Buffer {
        &self.0.unused.buffer
    }

    /// Whether both are handles to one device.
    pub(crate) fn is(&self, other: &Gpu) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Writes numbers to the device, before whatever is submitted next.
    pub(crate) fn write(&self, memory: &Memory, offset: u64, bytes: &[u8]) {
        self.work_meter().upload(bytes.len() as u64);
        self.queue().write_buffer(&memory.buffer, offset, bytes);
    }

    /// The first error that a driver reported since the last call, or the loss of the device.
    pub(crate) fn check(&self) -> Result<(), GpuError> {
        self.0.faults.check()
    }

    /// A storage buffer that can be written from here and copied from.
    pub(crate) fn storage(&self, what: &str, bytes: u64) -> Result<Memory, GpuError> {
        let limit = self.binding_limit();
        if bytes > limit {
            return Err(GpuError::TooLarge { what: what.to_owned(), bytes, limit });
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        self.memory(what, bytes, usage)
    }

    /// A buffer of `bytes` (at least 16, rounded up to whole words).
    pub(crate) fn memory(&self, what: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<Memory, GpuError> {
        let limit = self.0.buffer_limit;
        if bytes > limit {
            return Err(GpuError::TooLarge { what: what.to_owned(), bytes, limit });
        }
        let size = bytes.max(16).next_multiple_of(16);
        let descriptor = wgpu::BufferDescriptor { label: Some(what), size, usage, mapped_at_creation: false };
        let memory = Memory::new(self.device().create_buffer(&descriptor), &self.0.meter);
        match self.check() {
            Ok(()) => {}
            Err(GpuError::OutOfMemory(_)) => return Err(GpuError::OutOfMemory(format!("{size} bytes for {what}"))),
            Err(error) => return Err(error),
        }
        if self.0.meter.poison.load(Relaxed) {
            let garbage = vec![POISON; (size / 4) as usize];
            self.queue().write_buffer(&memory.buffer, 0, bytemuck::cast_slice(&garbage));
        }
        Ok(memory)
    }
}
