//! Where the residual stream begins: embeddings of tokens and of positions.

use crate::act::{Act, Over};
use crate::grid::{Along, Grid};
use crate::kernel::Kernel;
use crate::matrix::Matrix;
use crate::recorder::{Bound, Recorded, Recorder};

impl Recorder {
    /// The rows of `table` that the step's tokens name: `[rows, cols]`.
    pub fn embed(&mut self, table: &Matrix) -> Act {
        self.embed_scaled(table, 1.0)
    }

    /// The rows of `table` that the step's tokens name, times `scale`: `[rows, cols]`. Gemma's scale is the root of its
    /// width.
    pub fn embed_scaled(&mut self, table: &Matrix, scale: f32) -> Act {
        let y = self.act(Over::Rows, table.cols());
        self.bounds.tokens = self.bounds.tokens.min(table.rows());
        self.look_up(table, scale, false, &y);
        y
    }

    /// `x + table[position]`, in place: learned positions (GPT-2). A step with a position beyond the table is refused.
    pub fn add_positions(&mut self, x: Act, table: &Matrix) -> Act {
        self.expect(x.over == Over::Rows && x.width() == table.cols(), || {
            format!("positions of width {} added to width {}", table.cols(), x.width())
        });
        self.bounds.positions = self.bounds.positions.min(table.rows());
        self.look_up(table, 1.0, true, &x);
        x
    }

    /// y = scale * table[token], or y += table[position].
    fn look_up(&mut self, table: &Matrix, scale: f32, positions: bool, y: &Act) {
        self.weight_bytes += table.bytes() / u64::from(table.rows());
        for shard in table.shards() {
            let mut bound = vec![Bound::Rows, Bound::LaneTokens, self.bind(y), Bound::Memory(shard.quants.clone())];
            bound.extend(shard.scales.clone().map(Bound::Memory));
            self.recorded.push(Recorded {
                kernels: vec![Kernel::Embed(table.quant())],
                dims: vec![
                    table.cols(),
                    shard.first_row,
                    shard.rows,
                    table.rows(),
                    y.stride(),
                    u32::from(positions),
                    scale.to_bits(),
                ],
                bound,
                grid: Grid { across: table.cols().div_ceil(8 * 64), along: Along::Rows },
            });
        }
    }
}
