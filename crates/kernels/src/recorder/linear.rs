//! Products with matrices.

use crate::act::{Act, Over};
use crate::grid::Grid;
use crate::kernel::Kernel;
use crate::linear_text::{NORMED_ROWS, ROW_BLOCKS};
use crate::matrix::Matrix;
use crate::recorder::{Bound, Norm, NormKind, Recorded, Recorder, along, over_picks};
use crate::vector::Vector;

impl Recorder {
    /// `W x (+ bias)` of each row, the outputs of several matrices side by side. `norm` is a norm of x before: part of
    /// the kernel for few rows, a dispatch of its own for many.
    pub fn linear(&mut self, x: &Act, w: &[Matrix], bias: Option<&Vector>, norm: Option<Norm>) -> Act {
        let outputs = w.iter().map(Matrix::rows).sum();
        let y = self.act(x.over, outputs);
        match norm {
            Some(norm) if !self.folds_norms(x) || (norm.kind == NormKind::Rms && norm.bias.is_some()) => {
                let normed = self.norm(x, norm);
                self.multiply(&normed, w, bias, None, &y, false);
            }
            norm => self.multiply(x, w, bias, norm, &y, false),
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

    /// A folded norm reads x again in every workgroup: for many rows, a dispatch of its own is cheaper.
    fn folds_norms(&self, x: &Act) -> bool {
        x.over == Over::Picks || self.row_capacity <= NORMED_ROWS
    }

    /// Blocks of rows for products with x: up to the first that holds all it can have.
    fn row_blocks(&self, x: &Act) -> impl Iterator<Item = u32> {
        let largest = if self.folds_norms(x) { NORMED_ROWS } else { u32::MAX };
        let enough = ROW_BLOCKS.into_iter().find(|&rows| rows >= self.capacity(x.over)).unwrap_or(u32::MAX);
        ROW_BLOCKS.into_iter().filter(move |&rows| rows <= enough && rows <= largest)
    }

    fn multiply(
        &mut self,
        x: &Act,
        matrices: &[Matrix],
        bias: Option<&Vector>,
        norm: Option<Norm>,
        y: &Act,
        add: bool,
    ) {
        if let Some(norm) = norm {
            self.expect_norm(norm, x);
        }
        if let Some(bias) = bias {
            self.expect(bias.len() == y.width() as usize, || {
                format!("a bias of {} on {} outputs", bias.len(), y.width())
            });
        }
        let layer = norm.is_some_and(|norm| norm.kind == NormKind::Layer);
        let norm_bias = norm.and_then(|norm| norm.bias);
        let mut first_output = 0;
        for matrix in matrices {
            self.expect(matrix.cols() == x.width(), || format!("{} inputs given width {}", matrix.cols(), x.width()));
            self.weight_bytes += matrix.bytes();
            let quant = matrix.quant();
            for shard in matrix.shards() {
                let dims = vec![
                    matrix.cols(),
                    shard.rows,
                    x.stride(),
                    y.stride(),
                    first_output + shard.first_row,
                    over_picks(x),
                    u32::from(norm.is_some()),
                    u32::from(norm_bias.is_some()),
                    u32::from(bias.is_some()),
                    u32::from(add),
                    norm.map_or(0, |norm| norm.epsilon.to_bits()),
                ];
                let gain = Bound::optional(norm.map(|norm| norm.gain));
                let mut bound = vec![self.bind(x), self.bind(y), gain, Bound::optional(norm_bias)];
                bound.extend([Bound::optional(bias), Bound::Memory(shard.quants.clone())]);
                bound.extend(shard.scales.clone().map(Bound::Memory));
                let kernel = |rows| match layer {
                    true => Kernel::LinearOfLayerNorm(quant, rows),
                    false => Kernel::Linear(quant, rows),
                };
                let kernels = self.row_blocks(x).map(kernel).collect();
                let grid = Grid { across: shard.rows.div_ceil(16), along: along(x) };
                self.recorded.push(Recorded { kernels, dims, bound, grid });
            }
            first_output += matrix.rows();
        }
    }
}
