//! Products with matrices.

use crate::act::{Act, Over};
use crate::grid::Grid;
use crate::kernel::Kernel;
use crate::linear_text::{FEW_ROWS, ROW_BLOCKS};
use crate::matmul_text::{TILE_OUTPUTS, TILE_ROWS};
use crate::matrix::Matrix;
use crate::recorder::{Bound, Norm, NormKind, Recorded, Recorder, along, over_picks};
use crate::tiers::Tiers;
use crate::vector::Vector;

impl Recorder {
    /// `W x (+ bias)` of each row, the outputs of several matrices side by side. `norm` is a norm of x before: part of
    /// the kernel for few rows, a dispatch of its own for many.
    pub fn linear(&mut self, x: &Act, w: &[Matrix], bias: Option<&Vector>, norm: Option<Norm>) -> Act {
        let outputs = w.iter().map(Matrix::rows).sum();
        let y = self.act(x.over, outputs);
        match norm {
            Some(norm) if !self.is_for_few(x) || (norm.kind == NormKind::Rms && norm.bias.is_some()) => {
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

    /// Whether products with x are made for few rows: weights go straight into the sums, and a norm is folded in. For
    /// many rows, tiles are cheaper; a folded norm would read x again in every workgroup.
    fn is_for_few(&self, x: &Act) -> bool {
        x.over == Over::Picks || self.row_capacity <= FEW_ROWS
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
        let mut first_output = 0;
        for matrix in matrices {
            self.expect(matrix.cols() == x.width(), || format!("{} inputs given width {}", matrix.cols(), x.width()));
            self.weight_bytes += matrix.bytes();
            for shard in matrix.shards() {
                let mut dims = vec![
                    matrix.cols(),
                    shard.rows,
                    x.stride(),
                    y.stride(),
                    first_output + shard.first_row,
                    over_picks(x),
                    u32::from(bias.is_some()),
                    u32::from(add),
                ];
                let mut bound = vec![self.bind(x), self.bind(y), Bound::optional(bias)];
                let (kernels, outputs) = if self.is_for_few(x) {
                    let norm_bias = norm.and_then(|norm| norm.bias);
                    let epsilon = norm.map_or(0, |norm| norm.epsilon.to_bits());
                    dims.extend([u32::from(norm.is_some()), u32::from(norm_bias.is_some()), epsilon]);
                    bound.extend([Bound::optional(norm.map(|norm| norm.gain)), Bound::optional(norm_bias)]);
                    (self.few_row_kernels(x, matrix, norm), 16)
                } else {
                    (self.many_row_kernels(x, matrix), TILE_OUTPUTS)
                };
                bound.push(Bound::Memory(shard.quants.clone()));
                bound.extend(shard.scales.clone().map(Bound::Memory));
                let grid = Grid { across: shard.rows.div_ceil(outputs), along: along(x) };
                self.recorded.push(Recorded { kernels, dims, bound, grid });
            }
            first_output += matrix.rows();
        }
    }

    fn few_row_kernels(&self, x: &Act, matrix: &Matrix, norm: Option<Norm>) -> Vec<Kernel> {
        let layer = norm.is_some_and(|norm| norm.kind == NormKind::Layer);
        let kernel = |rows| match layer {
            true => Kernel::LinearOfLayerNorm(matrix.quant(), rows),
            false => Kernel::Linear(matrix.quant(), rows),
        };
        self.sizes(x, &ROW_BLOCKS).map(kernel).collect()
    }

    fn many_row_kernels(&self, x: &Act, matrix: &Matrix) -> Vec<Kernel> {
        let Tiers { tiles, .. } = self.gpu.tiers();
        self.sizes(x, &TILE_ROWS).map(|rows| Kernel::Matmul(matrix.quant(), rows, tiles)).collect()
    }

    /// Of the ascending numbers of rows that workgroups may take, those up to the first that holds all that x can have.
    fn sizes<'a>(&self, x: &Act, sizes: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
        let capacity = self.capacity(x.over);
        let enough = sizes.iter().copied().find(|&rows| rows >= capacity).unwrap_or(u32::MAX);
        sizes.iter().copied().filter(move |&rows| rows <= enough)
    }
}
