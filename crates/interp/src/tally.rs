//! Tokens read so far, of all that a method will read.

/// Tells `report` the tokens done and in all, over several pieces of work.
pub(crate) struct Tally<'a, P> {
    done: u64,
    total: u64,
    report: &'a mut P,
}

impl<'a, P: FnMut(u64, u64)> Tally<'a, P> {
    pub fn new(total: u64, report: &'a mut P) -> Self {
        Tally { done: 0, total, report }
    }

    /// `done` tokens of the piece of work at hand.
    pub fn within(&mut self, done: u64) {
        (self.report)((self.done + done).min(self.total), self.total);
    }

    /// A piece of work of so many tokens is done.
    pub fn add(&mut self, tokens: u64) {
        self.done += tokens;
    }

    pub fn finish(&mut self) {
        (self.report)(self.total, self.total);
    }
}
