//! What each attention head adds to the residual stream.

use crate::act::Act;
use crate::grid::Grid;
use crate::kernel::Kernel;
use crate::matrix::Matrix;
use crate::recorder::{Bound, Heads, Recorded, Recorder, along, by_element, over_picks};
use crate::vector::Vector;

impl Recorder {
    /// Each head's part of the product with `w_o` (`[d_model, heads * head_dim]`): its columns times the head's part of
    /// `z` (`[rows, heads * head_dim]`). Returns `[rows, heads * d_model]`.
    pub fn head_results(&mut self, z: &Act, w_o: &Matrix, heads: &Heads) -> Act {
        let Heads { heads, head_dim, .. } = *heads;
        let width = u64::from(heads) * u64::from(w_o.rows());
        let fits = z.width() == heads * head_dim && w_o.cols() == z.width() && width <= u64::from(u32::MAX / 2);
        self.expect(fits, || {
            format!("{heads} heads of {head_dim} in width {} through {} inputs", z.width(), w_o.cols())
        });
        let y = self.act(z.over, if fits { width as u32 } else { 1 });
        self.weight_bytes += w_o.bytes();
        for shard in w_o.shards() {
            let mut bound = vec![self.bind(z), self.bind(&y), Bound::Memory(shard.quants.clone())];
            bound.extend(shard.scales.clone().map(Bound::Memory));
            self.recorded.push(Recorded {
                kernels: vec![Kernel::HeadResults(w_o.quant())],
                dims: vec![
                    heads,
                    head_dim,
                    w_o.rows(),
                    shard.first_row,
                    shard.rows,
                    z.stride(),
                    y.stride(),
                    over_picks(z),
                ],
                bound,
                grid: Grid { across: shard.rows.div_ceil(64), along: along(z) },
            });
        }
        y
    }

    /// The sum of the heads' results (`[rows, heads * d_model]`), with the bias of the product: `[rows, d_model]`.
    pub fn sum_heads(&mut self, results: &Act, heads: u32, bias: Option<&Vector>) -> Act {
        let fits = heads > 0 && results.width().is_multiple_of(heads);
        let width = if fits { results.width() / heads } else { 1 };
        self.expect(fits && bias.is_none_or(|bias| bias.len() == width as usize), || {
            format!(
                "results of {heads} heads in width {}, with a bias of {}",
                results.width(),
                bias.map_or(0, Vector::len)
            )
        });
        let y = self.act(results.over, width);
        self.recorded.push(Recorded {
            kernels: vec![Kernel::SumHeads],
            dims: vec![width, heads, results.stride(), y.stride(), over_picks(&y), u32::from(bias.is_some())],
            bound: vec![self.bind(results), Bound::optional(bias), self.bind(&y)],
            grid: by_element(&y),
        });
        y
    }
}
