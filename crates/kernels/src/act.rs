//! Activations of a step while a plan is recorded.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::memory::Memory;

/// Whether an activation has a row for each row of the step, or one for each of its picks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Rows,
    Picks,
}

/// Buffers that no activation uses at this point of the recording.
pub(crate) type Arena = Rc<RefCell<Vec<Arc<Memory>>>>;

/// An activation `[rows or picks, width]` f32 on the device. When it is dropped, operations recorded later reuse its
/// buffer: they also run later.
#[derive(Debug)]
pub struct Act {
    /// `None` where the recorder has failed already.
    pub(crate) memory: Option<Arc<Memory>>,
    pub(crate) over: Over,
    width: u32,
    arena: Arena,
}

impl Act {
    pub(crate) fn new(memory: Option<Arc<Memory>>, over: Over, width: u32, arena: &Arena) -> Act {
        Act { memory, over, width, arena: arena.clone() }
    }

    /// Numbers in a row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Floats from one row to the next: the width rounded up to what a kernel reads at a time. What lies between is
    /// never written and never used.
    pub(crate) fn stride(&self) -> u32 {
        Act::stride_of(self.width)
    }

    pub(crate) fn stride_of(width: u32) -> u32 {
        width.next_multiple_of(8)
    }
}

impl Drop for Act {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.arena.borrow_mut().push(memory);
        }
    }
}
