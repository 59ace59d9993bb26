//! Bringing results back from the device.

use std::sync::{Arc, Mutex, PoisonError};

use futures_channel::oneshot;

use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::memory::Memory;
use crate::plan::{Tapped, Want};
use crate::step::{ALTERNATIVES, Drawn};

/// What a step brought back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepOutput {
    /// One a pick, in their order; empty where not wanted.
    pub drawn: Vec<Drawn>,
    /// By [`TapId`](crate::TapId): `[rows or picks, width]`; empty where not wanted.
    pub taps: Vec<Vec<f32>>,
}

/// A submitted step. [`Plan::read`](crate::Plan::read) waits for it; dropping it forgets the results.
#[derive(Debug)]
pub struct Ticket {
    rows: usize,
    picks: usize,
    want: Want,
    pending: Option<Pending>,
}

/// A host-visible buffer that the device is filling.
#[derive(Debug)]
struct Pending {
    staging: Memory,
    bytes: u64,
    mapped: oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>,
    #[cfg(not(target_arch = "wasm32"))]
    submission: wgpu::SubmissionIndex,
}

impl Pending {
    /// Submits what fills `bytes` of `staging`, and asks for them.
    fn submit(gpu: &Gpu, encoder: wgpu::CommandEncoder, staging: Memory, bytes: u64) -> Pending {
        let submission = gpu.queue().submit([encoder.finish()]);
        gpu.work_meter().submit();
        gpu.work_meter().read_back(bytes);
        let (sender, mapped) = oneshot::channel();
        staging.buffer.map_async(wgpu::MapMode::Read, 0..bytes, move |result| {
            // The ticket may have been dropped.
            let _ = sender.send(result);
        });
        #[cfg(target_arch = "wasm32")]
        let _ = submission;
        Pending {
            staging,
            bytes,
            mapped,
            #[cfg(not(target_arch = "wasm32"))]
            submission,
        }
    }

    /// Waits, and returns what came with the buffer that it came in.
    async fn read(self, gpu: &Gpu) -> Result<(Vec<u32>, Memory), GpuError> {
        #[cfg(not(target_arch = "wasm32"))]
        gpu.wait(Some(self.submission.clone()))?;
        #[cfg(target_arch = "wasm32")]
        gpu.wait(None)?;
        let mapped = self.mapped.await;
        gpu.check()?;
        let broken = |reason: &str| GpuError::Lost(reason.to_owned());
        match mapped {
            Ok(Ok(())) => {}
            _ => return Err(broken("its results could not be read")),
        }
        let words: Vec<u32> = {
            let view = self.staging.buffer.get_mapped_range(0..self.bytes);
            let view = view.map_err(|_| broken("its results could not be mapped"))?;
            bytemuck::pod_collect_to_vec(&view)
        };
        self.staging.buffer.unmap();
        Ok((words, self.staging))
    }
}

/// A host-visible buffer to copy results to.
fn staging(gpu: &Gpu, bytes: u64) -> Result<Memory, GpuError> {
    gpu.memory("results", bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)
}

/// `bytes` of `source` from `offset` on, both multiples of 4, after all that was submitted so far.
pub(crate) async fn read_words(gpu: &Gpu, source: &Memory, offset: u64, bytes: u64) -> Result<Vec<u32>, GpuError> {
    gpu.check()?;
    let staging = staging(gpu, bytes)?;
    let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("results") });
    encoder.copy_buffer_to_buffer(&source.buffer, offset, &staging.buffer, 0, bytes);
    let (words, _) = Pending::submit(gpu, encoder, staging, bytes).read(gpu).await?;
    Ok(words)
}

/// The outputs of a plan, and host-visible buffers to copy them to.
#[derive(Debug)]
pub(crate) struct Readback {
    gpu: Gpu,
    records: Option<Arc<Memory>>,
    alternatives: Option<Arc<Memory>>,
    /// How many of a pick's alternatives there are.
    ranks: usize,
    taps: Vec<Tapped>,
    /// Buffers that no ticket holds.
    free: Mutex<Vec<Memory>>,
}

impl Readback {
    pub fn new(
        gpu: Gpu,
        records: Option<Arc<Memory>>,
        alternatives: Option<Arc<Memory>>,
        ranks: u32,
        taps: Vec<Tapped>,
    ) -> Readback {
        Readback { gpu, records, alternatives, ranks: ranks as usize, taps, free: Mutex::default() }
    }

    /// Bytes of a row of every tap.
    pub fn tapped_bytes(&self) -> u64 {
        self.taps.iter().map(|tap| u64::from(tap.width) * 4).sum()
    }

    /// Adds the copies that are wanted, submits, and asks for the results.
    pub fn submit(
        &self,
        mut encoder: wgpu::CommandEncoder,
        rows: usize,
        picks: usize,
        want: Want,
    ) -> Result<Ticket, GpuError> {
        let copies = self.copies(rows, picks, want);
        let bytes = copies.iter().map(|(_, bytes)| bytes).sum::<u64>();
        if bytes == 0 {
            self.gpu.queue().submit([encoder.finish()]);
            self.gpu.work_meter().submit();
            return Ok(Ticket { rows, picks, want, pending: None });
        }
        let staging = self.staging(bytes)?;
        let mut at = 0;
        for (source, bytes) in copies {
            encoder.copy_buffer_to_buffer(&source.buffer, 0, &staging.buffer, at, bytes);
            at += bytes;
        }
        let pending = Some(Pending::submit(&self.gpu, encoder, staging, bytes));
        Ok(Ticket { rows, picks, want, pending })
    }

    pub async fn read(&self, ticket: Ticket) -> Result<StepOutput, GpuError> {
        let Ticket { rows, picks, want, pending } = ticket;
        let Some(pending) = pending else {
            self.gpu.check()?;
            return Ok(StepOutput::default());
        };
        let (words, staging) = pending.read(&self.gpu).await?;
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(staging);
        Ok(self.unpack(&words, rows, picks, want))
    }

    /// What is copied, in order, and how many bytes of each.
    fn copies(&self, rows: usize, picks: usize, want: Want) -> Vec<(&Memory, u64)> {
        let mut copies = Vec::new();
        if let (true, Some(records)) = (want.records, &self.records) {
            copies.push((&**records, picks as u64 * 8));
            if let (true, Some(alternatives)) = (want.alternatives, &self.alternatives) {
                copies.push((&**alternatives, (picks * ALTERNATIVES * 8) as u64));
            }
        }
        if want.taps {
            let tapped = |tap: &Tapped| (if tap.over_picks { picks } else { rows }) as u64 * u64::from(tap.width) * 4;
            copies.extend(self.taps.iter().map(|tap| (&*tap.memory, tapped(tap))));
        }
        copies.retain(|&(_, bytes)| bytes > 0);
        copies
    }

    fn unpack(&self, words: &[u32], rows: usize, picks: usize, want: Want) -> StepOutput {
        let mut rest = words;
        let mut take = |count: usize| {
            let (taken, left) = rest.split_at(count);
            rest = left;
            taken
        };
        let mut output = StepOutput::default();
        if want.records && self.records.is_some() {
            let record = |pair: &[u32]| (pair[0], f32::from_bits(pair[1]));
            output.drawn = take(picks * 2)
                .chunks_exact(2)
                .map(record)
                .map(|(token, log_prob)| Drawn { token, log_prob, alternatives: Vec::new() })
                .collect();
            if want.alternatives && self.alternatives.is_some() {
                let alternatives = take(picks * ALTERNATIVES * 2);
                for (drawn, ranked) in output.drawn.iter_mut().zip(alternatives.chunks_exact(ALTERNATIVES * 2)) {
                    drawn.alternatives = ranked.chunks_exact(2).take(self.ranks).map(record).collect();
                }
            }
        }
        if want.taps {
            for tap in &self.taps {
                let count = if tap.over_picks { picks } else { rows } * tap.width as usize;
                output.taps.push(take(count).iter().map(|&word| f32::from_bits(word)).collect());
            }
        }
        output
    }

    /// A host-visible buffer of at least `bytes`.
    fn staging(&self, bytes: u64) -> Result<Memory, GpuError> {
        {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let fits = |memory: &Memory| (bytes..=bytes.max(4096) * 2).contains(&memory.bytes());
            if let Some(index) = free.iter().position(fits) {
                return Ok(free.swap_remove(index));
            }
        }
        staging(&self.gpu, bytes)
    }
}
