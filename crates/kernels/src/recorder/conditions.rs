//! Conditions, decided on the device for each row.

use std::ops::Range;
use std::sync::Arc;

use super::{Bound, Recorded, Recorder, along, over_picks};
use crate::act::{Act, Over};
use crate::condition::{Condition, Score};
use crate::grid::{Along, Grid};
use crate::kernel::Kernel;
use crate::memory::Memory;
use crate::step::EDIT_SLOTS;
use crate::token_set::TokenSet;

/// Whether a condition holds, for each row of the step, or for each pick where it looks at an activation over picks.
/// Edits recorded later, of the same plan, can depend on it.
#[derive(Clone, Debug)]
pub struct Gate {
    /// A word a row, 1 where the gate is open. `None` where the recorder has failed already.
    pub(super) memory: Option<Arc<Memory>>,
    pub(super) over: Over,
}

impl Recorder {
    /// Looks at `columns` of x, as it is at this point, in rows whose [`Row::edits`](crate::Row) has the bit of `slot`:
    /// elsewhere the condition has not fired. With a latch the gate is open for a row where the condition fired at its
    /// position or at an earlier one of its sequence, in this step or before.
    pub fn gate(&mut self, x: &Act, columns: Range<u32>, condition: &Condition, slot: u32) -> Gate {
        let Condition { vector, score, above, threshold, latch } = condition;
        self.expect_slot(slot);
        self.expect_columns(x, &columns);
        self.expect(vector.len() == columns.len(), || {
            format!("a condition of {} numbers on {} columns", vector.len(), columns.len())
        });
        let (kind, bias) = match *score {
            Score::Dot { bias } => (0, bias),
            Score::Cosine => (1, 0.0),
            Score::CosineToProjection => (2, 0.0),
        };
        self.expect(threshold.is_finite() && bias.is_finite(), || {
            format!("a threshold of {threshold}, a bias of {bias}")
        });
        self.expect(latch.is_none() || x.over == Over::Rows, || "a latch on picked rows".to_owned());
        let gate = self.new_gate(x.over);
        let bind_gate = gate.memory.clone().map_or(Bound::Unused, Bound::Memory);
        let fired = match latch {
            Some(latch) => Bound::Memory(latch.memory()),
            None => bind_gate.clone(),
        };
        self.recorded.push(Recorded {
            kernels: vec![Kernel::Gate],
            dims: vec![
                over_picks(x),
                slot,
                x.stride(),
                columns.start,
                columns.len() as u32,
                kind,
                u32::from(*above),
                u32::from(latch.is_some()),
                bias.to_bits(),
                threshold.to_bits(),
            ],
            bound: vec![Bound::Rows, Bound::Picks, self.bind(x), Bound::Memory(vector.memory()), fired],
            grid: Grid { across: 1, along: along(x) },
        });
        if let Some(latch) = latch {
            self.bounds.kv_rows = self.bounds.kv_rows.min(latch.rows());
            self.recorded.push(Recorded {
                kernels: vec![Kernel::GateLatch],
                dims: Vec::new(),
                bound: vec![Bound::Rows, Bound::Memory(latch.memory()), bind_gate],
                grid: Grid { across: 1, along: Along::Rows },
            });
        }
        gate
    }

    /// Open for rows whose token is in `tokens`, among those whose [`Row::edits`](crate::Row) has the bit of `slot`.
    pub fn gate_on_tokens(&mut self, tokens: &TokenSet, slot: u32) -> Gate {
        self.expect_slot(slot);
        let gate = self.new_gate(Over::Rows);
        let bind_gate = gate.memory.clone().map_or(Bound::Unused, Bound::Memory);
        self.recorded.push(Recorded {
            kernels: vec![Kernel::GateTokens],
            dims: vec![slot, tokens.vocab()],
            bound: vec![Bound::Rows, Bound::LaneTokens, Bound::Memory(tokens.memory()), bind_gate],
            grid: Grid { across: 1, along: Along::Rows },
        });
        gate
    }

    fn new_gate(&mut self, over: Over) -> Gate {
        Gate { memory: self.memory("a gate", u64::from(self.capacity(over)) * 4), over }
    }

    pub(super) fn expect_slot(&mut self, slot: u32) {
        self.expect((slot as usize) < EDIT_SLOTS, || format!("edit slot {slot} of {EDIT_SLOTS}"));
    }
}
