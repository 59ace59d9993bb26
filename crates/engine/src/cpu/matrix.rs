//! A quantised weight matrix in memory, and products with it.

use super::blocks::{Bf16, Blocks, F16, F32, Order, Q2K, Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};
use super::dot::{self, Dots};
use super::operand::Operand;
use super::panel::{Panel, Products, TILE_ROWS, panel_rows};
use super::simd::{self, Kernel};
use super::team::Team;
use crate::{EngineError, parallel};
use candle_core::{Device, Tensor};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};
use tiller_formats::{Quant, dequantise};

/// Rows of weights that a core multiplies at once with a few rows of activations.
const DOT_ROWS: usize = 64;

/// `[rows (outputs), cols (inputs)]`, in the file's own bytes.
pub(crate) struct CpuMatrix {
    /// No two matrices of a program have the same.
    id: u32,
    quant: Quant,
    rows: usize,
    cols: usize,
    row_bytes: usize,
    bytes: Vec<u8>,
}

/// How a product is computed. The two sum in different orders: which one a token goes through must not depend on its
/// neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Weights are unpacked for every row or two.
    FewRows,
    /// Weights are unpacked once for all rows.
    ManyRows,
}

/// Runs `$work` with `$blocks` as the type that `$quant` names.
macro_rules! with_blocks {
    ($quant:expr, $blocks:ident => $work:expr) => {
        match $quant {
            Quant::F32 => with_blocks!(@ F32, $blocks, $work),
            Quant::F16 => with_blocks!(@ F16, $blocks, $work),
            Quant::BF16 => with_blocks!(@ Bf16, $blocks, $work),
            Quant::Q4_0 => with_blocks!(@ Q4_0, $blocks, $work),
            Quant::Q4_1 => with_blocks!(@ Q4_1, $blocks, $work),
            Quant::Q5_0 => with_blocks!(@ Q5_0, $blocks, $work),
            Quant::Q5_1 => with_blocks!(@ Q5_1, $blocks, $work),
            Quant::Q8_0 => with_blocks!(@ Q8_0, $blocks, $work),
            Quant::Q2K => with_blocks!(@ Q2K, $blocks, $work),
            Quant::Q3K => with_blocks!(@ Q3K, $blocks, $work),
            Quant::Q4K => with_blocks!(@ Q4K, $blocks, $work),
            Quant::Q5K => with_blocks!(@ Q5K, $blocks, $work),
            Quant::Q6K => with_blocks!(@ Q6K, $blocks, $work),
        }
    };
    (@ $format:ty, $blocks:ident, $work:expr) => {{
        type $blocks = $format;
        $work
    }};
}

impl CpuMatrix {
    /// `cols` is a whole number of blocks: the model's configuration was checked.
    pub fn new(quant: Quant, rows: usize, cols: usize) -> CpuMatrix {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let row_bytes = quant.row_bytes(cols).expect("a checked matrix has whole blocks");
        CpuMatrix {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            quant,
            rows,
            cols,
            row_bytes,
            bytes: Vec::with_capacity(rows * row_bytes),
        }
    }

    pub fn push_rows(&mut self, first_row: usize, bytes: &[u8]) {
        assert_eq!(first_row * self.row_bytes, self.bytes.len(), "rows are written in their order");
        self.bytes.extend_from_slice(bytes);
    }

    pub fn id(&self) -> u32 {
        self.id
    }

    pub fn quant(&self) -> Quant {
        self.quant
    }

    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn cols(&self) -> usize {
        self.cols
    }

    pub fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// The rows that `ids` name: `[ids, cols]`. Every id is below `rows`.
    pub fn gather(&self, ids: &[u32]) -> Result<Tensor, EngineError> {
        let row = |id: usize| {
            let bytes = &self.bytes[id * self.row_bytes..(id + 1) * self.row_bytes];
            dequantise(self.quant, bytes, self.cols)
        };
        let values: Vec<f32> = ids.iter().flat_map(|&id| row(id as usize)).collect();
        Ok(Tensor::from_vec(values, (ids.len(), self.cols), &Device::Cpu)?)
    }

    fn order(&self) -> Order {
        with_blocks!(self.quant, B => B::ORDER)
    }

    /// `x`, `[n, cols]`, as [`CpuMatrix::multiply`] wants it.
    pub(super) fn prepare(&self, x: &[f32], way: Way) -> Operand {
        let tile = match way {
            Way::FewRows => dot::ROWS,
            Way::ManyRows => TILE_ROWS,
        };
        Operand::new(x, self.cols, self.order(), tile)
    }

    /// `W x^T` to `out`, `[rows, n]`, for as many rows of `W` from `first` on as `out` has room for.
    pub(super) fn multiply(&self, first: usize, x: &Operand, n: usize, way: Way, out: &mut [f32]) {
        self.multiply_with(Widest, first, x, n, way, out);
    }

    fn multiply_with(&self, run: impl Run, first: usize, x: &Operand, n: usize, way: Way, out: &mut [f32]) {
        match way {
            Way::FewRows => parallel::for_each_piece(out, DOT_ROWS * n, |_: &mut (), i, out| {
                let weights = self.rows_from(first + i * DOT_ROWS, out.len() / n);
                let row_bytes = self.row_bytes;
                with_blocks!(self.quant, B => {
                    run.run(Dots::<B> { weights, row_bytes, x, out, n, format: PhantomData })
                });
            }),
            Way::ManyRows => {
                let rows = panel_rows(self.cols);
                parallel::for_each_piece(out, rows * n, |panel: &mut Panel, i, out| {
                    let weights = self.rows_from(first + i * rows, out.len() / n);
                    let row_bytes = self.row_bytes;
                    with_blocks!(self.quant, B => {
                        run.run(Products::<B> { weights, row_bytes, x, out, n, panel, format: PhantomData })
                    });
                });
            }
        }
    }

    pub fn rows_from(&self, first: usize, count: usize) -> &[u8] {
        &self.bytes[first * self.row_bytes..(first + count) * self.row_bytes]
    }
}

/// What chooses a kernel's instructions.
trait Run: Copy + Send + Sync {
    fn run(self, kernel: impl Kernel);
}

#[derive(Clone, Copy)]
struct Widest;

impl Run for Widest {
    fn run(self, kernel: impl Kernel) {
        simd::run(kernel);
    }
}

/// `x W^T` for all matrices side by side: `x` is `[n, cols]`, the result `[n, rows of all]`.
pub(crate) fn multiply(x: &[f32], matrices: &[CpuMatrix], way: Way, team: Option<&Team>) -> Vec<f32> {
    product(x, matrices, way, team, Widest)
}

fn product(x: &[f32], matrices: &[CpuMatrix], way: Way, team: Option<&Team>, run: impl Run) -> Vec<f32> {
    let cols = matrices[0].cols;
    let n = x.len() / cols;
    // A step within a long prompt picks no row to go on from.
    if n == 0 {
        return Vec::new();
    }
    let rows: usize = matrices.iter().map(|w| w.rows).sum();
    let mut columns = vec![0.0; rows * n];
    let mut operand: Option<Operand> = None;
    let mut rest = columns.as_mut_slice();
    for w in matrices {
        let operand = match &operand {
            Some(known) if known.order() == w.order() => known,
            _ => operand.insert(w.prepare(x, way)),
        };
        let (out, after) = rest.split_at_mut(w.rows * n);
        match team {
            Some(team) => team.multiply(w, x, n, way, out, &|rows, out| {
                w.multiply_with(run, rows.start, operand, n, way, out);
            }),
            None => w.multiply_with(run, 0, operand, n, way, out),
        }
        rest = after;
    }
    if n == 1 { columns } else { transposed(&columns, rows, n) }
}

/// `[rows, n]` to `[n, rows]`.
fn transposed(x: &[f32], rows: usize, n: usize) -> Vec<f32> {
    /// Rows at once, so that what is written is still in the cache when its neighbour comes.
    const ROWS: usize = 16;
    let mut out = vec![0.0; x.len()];
    for (block, x) in x.chunks(ROWS * n).enumerate() {
        for i in 0..n {
            for (j, row) in x.chunks_exact(n).enumerate() {
                out[i * rows + block * ROWS + j] = row[i];
            }
        }
    }
    out
}

/// The dot product in eight running sums, which the compiler turns into vector instructions.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
pub(super) mod tests;
