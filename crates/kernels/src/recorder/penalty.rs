//! The tokens of a text, and the penalty on repeating them.

use super::{Bound, Recorded, Recorder, along, over_picks};
use crate::act::Act;
use crate::grid::{Along, Grid};
use crate::kernel::Kernel;
use crate::text::Text;

impl Recorder {
    /// Writes the token of every row to its place in `text`.
    pub fn remember_tokens(&mut self, text: &Text) {
        self.bounds.kv_rows = self.bounds.kv_rows.min(text.rows());
        self.recorded.push(Recorded {
            kernels: vec![Kernel::RememberTokens],
            dims: Vec::new(),
            bound: vec![Bound::Rows, Bound::LaneTokens, Bound::Memory(text.memory())],
            grid: Grid { across: 1, along: Along::Rows },
        });
    }

    /// Divides positive logits by `penalty`, and multiplies others by it, for every token that a row's sequence holds
    /// up to the row itself; each once, however often it occurs (Keskar et al. 2019, section 4.1). In place. The text
    /// must have been remembered in this step and in those before.
    pub fn penalise(&mut self, logits: Act, text: &Text, penalty: f32) -> Act {
        self.expect(penalty.is_finite() && penalty > 0.0, || format!("a repetition penalty of {penalty}"));
        self.bounds.kv_rows = self.bounds.kv_rows.min(text.rows());
        let scratch = self.memory("penalties", u64::from(self.capacity(logits.over)) * u64::from(text.rows()) * 4);
        self.recorded.push(Recorded {
            kernels: vec![Kernel::Penalise],
            dims: vec![logits.width(), logits.stride(), over_picks(&logits), text.rows(), penalty.to_bits()],
            bound: vec![
                Bound::Rows,
                Bound::Picks,
                Bound::Memory(text.memory()),
                scratch.map_or(Bound::Unused, Bound::Memory),
                self.bind(&logits),
            ],
            grid: Grid { across: 1, along: along(&logits) },
        });
        logits
    }
}
