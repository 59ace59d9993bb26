//! Stopping a transfer from outside.

use std::cell::Cell;
use std::rc::Rc;

/// A flag that its clones share. Looked at whenever bytes arrive, and while waiting to try again.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Rc<Cell<bool>>);

impl Cancel {
    pub fn new() -> Cancel {
        Cancel::default()
    }

    pub fn cancel(&self) {
        self.0.set(true);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.get()
    }
}
