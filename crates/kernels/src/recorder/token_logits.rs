//! A few numbers of each row of logits.

use super::{Bound, Recorded, Recorder, along, over_picks};
use crate::act::Act;
use crate::grid::Grid;
use crate::kernel::Kernel;
use crate::unit_list::UnitList;

impl Recorder {
    /// The logits of `tokens`, and then the logarithm of the sum of the exponentials of all logits:
    /// `[rows or picks, tokens + 1]`. A token's log probability is its logit less that.
    pub fn token_logits(&mut self, logits: &Act, tokens: &UnitList) -> Act {
        self.expect(tokens.largest() < logits.width(), || {
            format!("the logit of token {} of {}", tokens.largest(), logits.width())
        });
        let count = tokens.len() as u32;
        let y = self.act(logits.over, count + 1);
        self.recorded.push(Recorded {
            kernels: vec![Kernel::TokenLogits],
            dims: vec![logits.width(), logits.stride(), over_picks(logits), count, y.stride()],
            bound: vec![Bound::Memory(tokens.memory()), self.bind(logits), self.bind(&y)],
            grid: Grid { across: 1, along: along(logits) },
        });
        y
    }
}
