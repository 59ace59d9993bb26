//! Bringing results back from the device.

use std::sync::{Arc, Mutex, PoisonError};

use futures_channel::oneshot;

use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::memory::Memory;
use crate::plan::{Tapped, Want};
use crate::step::{ALTERNATIVES, Drawn, Step};

/// What a step brought back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepOutput {
    /// One a pick, in their order; empty where not wanted.
    pub drawn: Vec<Drawn>,
    /// By [`TapId`](crate::TapId): `[rows or picks, width]`; empty where not wanted.
    pub taps: Vec<Vec<f32>>,
}

/// Submitted steps whose results come together. [`Plan::read`](crate::Plan::read) waits for them; dropping it forgets
/// the results.
#[derive(Debug)]
pub struct Ticket {
    steps: Vec<Counts>,
    want: Want,
    pending: Option<Pending>,
}

/// What a step's results are counted by.
#[derive(Clone, Copy, Debug)]
struct Counts {
    rows: usize,
    picks: usize,
}

impl Counts {
    fn of(step: &Step) -> Counts {
        Counts { rows: step.rows.len(), picks: step.picks.len() }
    }
}

/// Results of several steps on their way into one host-visible buffer; without one where nothing is wanted.
#[derive(Debug)]
pub(crate) struct Gathering {
    steps: Vec<Counts>,
    want: Want,
    staging: Option<Memory>,
    /// Bytes filled so far.
    filled: u64,
    newest: Option<wgpu::SubmissionIndex>,
}

/// A host-visible buffer that the device is filling.
#[derive(Debug)]
struct Pending {
    staging: Memory,
    bytes: u64,
    mapped: oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>,
    /// The submit after which it is full.
    submission: Option<wgpu::SubmissionIndex>,
}

impl Pending {
    /// Asks for `bytes` of `staging`, full after `submission`.
    fn ask(gpu: &Gpu, staging: Memory, bytes: u64, submission: Option<wgpu::SubmissionIndex>) -> Pending {
        gpu.work_meter().read_back(bytes);
        let (sender, mapped) = oneshot::channel();
        staging.buffer.map_async(wgpu::MapMode::Read, 0..bytes, move |result| {
            // The ticket may have been dropped.
            let _ = sender.send(result);
        });
        Pending { staging, bytes, mapped, submission }
    }

    /// Waits, and returns what came with the buffer that it came in.
    async fn read(self, gpu: &Gpu) -> Result<(Vec<u32>, Memory), GpuError> {
        gpu.wait(self.submission)?;
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
    let submission = gpu.queue().submit([encoder.finish()]);
    gpu.work_meter().submit();
    let (words, _) = Pending::ask(gpu, staging, bytes, Some(submission)).read(gpu).await?;
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

    /// Room for what these steps are to bring back.
    pub fn gather(&self, steps: &[Step], want: Want) -> Result<Gathering, GpuError> {
        let steps: Vec<Counts> = steps.iter().map(Counts::of).collect();
        let bytes = steps.iter().flat_map(|&step| self.copies(step, want)).map(|(_, bytes)| bytes).sum::<u64>();
        let staging = if bytes == 0 { None } else { Some(self.staging(bytes)?) };
        Ok(Gathering { steps, want, staging, filled: 0, newest: None })
    }

    /// Adds the copies that are wanted of one of the steps, and submits it.
    pub fn submit(&self, into: &mut Gathering, mut encoder: wgpu::CommandEncoder, step: &Step) {
        if let Some(staging) = &into.staging {
            for (source, bytes) in self.copies(Counts::of(step), into.want) {
                encoder.copy_buffer_to_buffer(&source.buffer, 0, &staging.buffer, into.filled, bytes);
                into.filled += bytes;
            }
        }
        into.newest = Some(self.gpu.queue().submit([encoder.finish()]));
        self.gpu.work_meter().submit();
    }

    /// Asks for the results of all steps, which have been submitted.
    pub fn ask(&self, gathered: Gathering) -> Ticket {
        let Gathering { steps, want, staging, filled, newest } = gathered;
        let pending = staging.map(|staging| Pending::ask(&self.gpu, staging, filled, newest));
        Ticket { steps, want, pending }
    }

    /// What each step brought back, in their order.
    pub async fn read(&self, ticket: Ticket) -> Result<Vec<StepOutput>, GpuError> {
        let Ticket { steps, want, pending } = ticket;
        let Some(pending) = pending else {
            self.gpu.check()?;
            return Ok(vec![StepOutput::default(); steps.len()]);
        };
        let (words, staging) = pending.read(&self.gpu).await?;
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(staging);
        let mut words = &words[..];
        Ok(steps.into_iter().map(|step| self.unpack(&mut words, step, want)).collect())
    }

    /// What is copied of a step, in order, and how many bytes of each.
    fn copies(&self, Counts { rows, picks }: Counts, want: Want) -> Vec<(&Memory, u64)> {
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

    /// Takes a step's results off the front of `words`.
    fn unpack(&self, words: &mut &[u32], Counts { rows, picks }: Counts, want: Want) -> StepOutput {
        let mut take = |count: usize| {
            let (taken, left) = words.split_at(count);
            *words = left;
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
