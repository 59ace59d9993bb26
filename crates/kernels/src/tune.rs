//! Choosing [`Tiers`] by trying: the products that a model spends its time on, each in two ways, by turns.
//!
//! What is timed is what matters, the wall time from a submit until its results are here; a way other than the usual one
//! is taken only where it wins clearly, and where it computes the same.

use tiller_formats::Quant;

use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::kernel::Kernel;
use crate::linear_text::FEW_ROWS;
use crate::matrix::Matrix;
use crate::plan::{Plan, Want};
use crate::recorder::Recorder;
use crate::step::{Draw, Pick, Row, Step, TapRows};
use crate::tiers::{Reduction, Tiers, Tiles};
use crate::vector::Vector;

/// Products to be timed: by a matrix `[hidden, width]` and by one `[width, hidden]`, as in an MLP, both in `quant`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    pub quant: Quant,
    pub width: u32,
    pub hidden: u32,
}

/// Times that each way is timed at most, and at least for the result to count.
const ROUNDS: [usize; 2] = [9, 3];

/// Seconds after which no further round of a comparison begins. Compiling the kernels is not counted: it is done once,
/// and has to be done for one of the two ways anyway.
const SECONDS: f64 = 0.4;

/// A way is better where it takes less than this share of the usual one's time.
const CLEARLY: f64 = 0.95;

/// The relative distance up to which two ways compute the same: sums in another order are far below.
const SAME: f64 = 1e-4;

/// Pairs of products in a step of few rows, so that they outweigh what a step costs besides.
const PAIRS: usize = 8;

/// Numbers in a matrix, at most: what is made for the comparison must not crowd out a model.
const MOST_NUMBERS: u32 = 1 << 22;

const MANY_ROWS: u32 = 128;

impl Workload {
    /// What a choice of tiers holds for: the device, its driver, the texts of the kernels, and this workload.
    pub fn key(&self, gpu: &Gpu) -> String {
        let adapter = gpu.adapter();
        // FNV-1a (Fowler, Noll and Vo), 64 bits.
        let mut hash = 0xCBF2_9CE4_8422_2325u64;
        for text in Kernel::all(&[self.quant]).flat_map(|kernel| [1, 32].map(|lanes| kernel.source(lanes))) {
            hash = text.bytes().fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
        }
        let Workload { quant, width, hidden } = self;
        format!("{}, {}, {}, {hash:016x}, {quant} {width} {hidden}", adapter.name, adapter.backend, adapter.driver)
    }
}

impl Gpu {
    /// Tries which tiers serve the workload best, takes them, and returns them. `seconds` is a clock. Takes about a
    /// second at most, beside compiling; errors where the device fails or cannot hold the workload, and then the tiers
    /// stay as they were.
    pub async fn tune(&self, workload: Workload, seconds: impl Fn() -> f64) -> Result<Tiers, GpuError> {
        let before = self.tiers();
        let chosen = self.chosen(workload, before, &seconds).await;
        self.set_tiers(*chosen.as_ref().unwrap_or(&before));
        chosen
    }

    async fn chosen(&self, workload: Workload, usual: Tiers, seconds: &impl Fn() -> f64) -> Result<Tiers, GpuError> {
        let mut chosen = usual;
        let matrices = Products::new(self, workload)?;
        let tiles = if usual.tiles == Tiles::Spread { Tiles::Compact } else { Tiles::Spread };
        let many = |tiers| matrices.plan(tiers, MANY_ROWS, 1);
        if is_better(&many(usual)?, &many(Tiers { tiles, ..usual })?, MANY_ROWS, seconds).await? {
            chosen.tiles = tiles;
        }
        if self.has_subgroups() {
            let few = |reduction| matrices.plan(Tiers { reduction, ..usual }, FEW_ROWS, PAIRS);
            let [workgroup, subgroup] = [few(Reduction::Workgroup)?, few(Reduction::Subgroup)?];
            chosen.reduction = match is_better(&workgroup, &subgroup, 1, seconds).await? {
                true => Reduction::Subgroup,
                false => Reduction::Workgroup,
            };
        }
        Ok(chosen)
    }
}

/// Whether `other` computes what `usual` does, and clearly sooner.
async fn is_better(usual: &Plan, other: &Plan, rows: u32, seconds: &impl Fn() -> f64) -> Result<bool, GpuError> {
    // The first time, kernels are compiled and memory is touched.
    let expected = timed(usual, rows, seconds).await?.1;
    if !is_same(&expected, &timed(other, rows, seconds).await?.1) {
        return Ok(false);
    }
    let [most, least] = ROUNDS;
    let (mut of_usual, mut of_other) = (Vec::new(), Vec::new());
    let end = seconds() + SECONDS;
    while of_usual.len() < most && (of_usual.is_empty() || seconds() < end) {
        // By turns, and each as often the first: a device that heats up or wakes up does so for both.
        if of_usual.len() % 2 == 0 {
            of_usual.push(timed(usual, rows, seconds).await?.0);
            of_other.push(timed(other, rows, seconds).await?.0);
        } else {
            of_other.push(timed(other, rows, seconds).await?.0);
            of_usual.push(timed(usual, rows, seconds).await?.0);
        }
    }
    Ok(of_usual.len() >= least && wins(of_other, of_usual))
}

fn wins(of_other: Vec<f64>, of_usual: Vec<f64>) -> bool {
    median(of_other) < CLEARLY * median(of_usual)
}

/// Seconds from a submit until its results are here, and these.
async fn timed(plan: &Plan, rows: u32, seconds: &impl Fn() -> f64) -> Result<(f64, Vec<f32>), GpuError> {
    let rows: Vec<Row> = (0..rows).map(|row| Row { position: row, ..Row::default() }).collect();
    let last = [Pick { row: rows.len() as u32 - 1, lane: 0, draw: 0 }];
    let step = Step { rows: &rows, picks: &last, sampling: Draw::GREEDY, coefficients: &[] };
    let begun = seconds();
    let ticket = plan.submit(&step, Want { taps: true, ..Want::default() })?;
    let taps = plan.read(ticket).await?.taps;
    Ok((seconds() - begun, taps.concat()))
}

fn is_same(expected: &[f32], found: &[f32]) -> bool {
    let square = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|number| number * number).sum::<f64>();
    let pairs = expected.iter().zip(found);
    let difference = square(&mut pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let size = square(&mut expected.iter().map(|number| f64::from(*number)));
    // False too where a number is none.
    expected.len() == found.len() && difference <= SAME * SAME * size
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::INFINITY)
}

/// What the plans multiply.
struct Products {
    gpu: Gpu,
    x: Matrix,
    gain: Vector,
    up: Matrix,
    down: Matrix,
}

impl Products {
    fn new(gpu: &Gpu, workload: Workload) -> Result<Products, GpuError> {
        let Workload { quant, width, .. } = workload;
        // Fewer outputs where there are very many, by whole blocks.
        let most = (MOST_NUMBERS / width.max(1)).max(256) / 256 * 256;
        let hidden = workload.hidden.min(most);
        let x = Matrix::new(gpu, Quant::F32, 1, width)?;
        let numbers: Vec<f32> = (0..width).map(|at| ((at * 7 + 3) % 11) as f32 / 5.0 - 1.0).collect();
        x.write_rows(0, bytemuck::cast_slice(&numbers))?;
        let gain = Vector::new(gpu, &vec![1.0; width as usize])?;
        let filled = |rows: u32, cols: u32| {
            let matrix = Matrix::new(gpu, quant, rows, cols)?;
            let row = finite_row(quant, cols);
            for first in 0..rows {
                matrix.write_rows(first, &row)?;
            }
            Ok::<Matrix, GpuError>(matrix)
        };
        Ok(Products { gpu: gpu.clone(), up: filled(hidden, width)?, down: filled(width, hidden)?, gain, x })
    }

    fn plan(&self, tiers: Tiers, capacity: u32, pairs: usize) -> Result<Plan, GpuError> {
        let before = self.gpu.tiers();
        self.gpu.set_tiers(tiers);
        let plan = self.recorded(capacity, pairs);
        self.gpu.set_tiers(before);
        plan
    }

    fn recorded(&self, capacity: u32, pairs: usize) -> Result<Plan, GpuError> {
        let mut recorder = Recorder::new(&self.gpu, capacity);
        let mut x = recorder.embed(&self.x);
        for _ in 0..pairs {
            let hidden = recorder.linear(&x, std::slice::from_ref(&self.up), None, Some((&self.gain, 1e-5).into()));
            x = recorder.linear(&hidden, std::slice::from_ref(&self.down), None, None);
        }
        recorder.tap(&x, TapRows::Picks);
        drop(x);
        recorder.finish()
    }
}

/// A row of weights that are finite in their format, and small.
fn finite_row(quant: Quant, cols: u32) -> Vec<u8> {
    let bytes = quant.row_bytes(cols as usize).unwrap_or(0);
    match quant {
        Quant::F32 => (0..cols).flat_map(|at| (0.01 * (at % 8 + 1) as f32).to_le_bytes()).collect(),
        // The upper halves of floats from 0.03 to 0.06.
        Quant::BF16 => (0..bytes).map(|at| if at % 2 == 0 { at as u8 } else { 0x3D }).collect(),
        // As halves, scales among them, these are 0.03 to 0.12; as quants, anything will do.
        _ => (0..bytes).map(|at| 0x28 + (at % 8) as u8).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_or_differs_is_not_the_same() {
        let right = [1.0, -2.0];
        assert!(is_same(&right, &[1.0, -2.00001]));
        for wrong in [&[1.0, -2.01][..], &[1.0], &[1.0, f32::NAN], &[f32::INFINITY, -2.0]] {
            assert!(!is_same(&right, wrong), "{wrong:?}");
        }
        assert!(!is_same(&[f32::NAN], &[f32::NAN]));
    }

    #[test]
    fn only_a_clear_margin_wins_and_one_slow_round_decides_nothing() {
        let usual = || vec![10.0, 10.2, 9.9, 50.0, 10.0];
        assert!(wins(vec![9.4, 9.3, 70.0, 9.4, 9.2], usual()));
        assert!(!wins(vec![9.6, 9.6, 1.0, 9.6, 9.7], usual()));
        assert!(!wins(vec![0.0; 5], vec![0.0; 5]));
    }
}
