//! Undo and redo by whole values.

/// What was, and what was undone. Changes of one kind that follow each other quickly are one step.
pub struct History<T> {
    past: Vec<T>,
    undone: Vec<T>,
    last: Option<(&'static str, f64)>,
}

/// Steps that are remembered.
const DEPTH: usize = 100;

/// Two changes of one kind are one step when less time lies between them, in milliseconds.
const PAUSE_MS: f64 = 1000.0;

impl<T> Default for History<T> {
    fn default() -> History<T> {
        History { past: Vec::new(), undone: Vec::new(), last: None }
    }
}

impl<T> History<T> {
    /// Remembers the value `before` a change. `kind` names what changed, `now` is in milliseconds.
    pub fn record(&mut self, before: T, kind: &'static str, now: f64) {
        let continues = self.last.is_some_and(|(last, at)| last == kind && now - at < PAUSE_MS);
        self.last = Some((kind, now));
        self.undone.clear();
        if continues && !self.past.is_empty() {
            return;
        }
        if self.past.len() == DEPTH {
            self.past.remove(0);
        }
        self.past.push(before);
    }

    /// The value before the last change; `current` can then be had back with [`History::redo`].
    pub fn undo(&mut self, current: T) -> Option<T> {
        let before = self.past.pop()?;
        self.undone.push(current);
        self.last = None;
        Some(before)
    }

    pub fn redo(&mut self, current: T) -> Option<T> {
        let after = self.undone.pop()?;
        self.past.push(current);
        self.last = None;
        Some(after)
    }

    pub fn can_undo(&self) -> bool {
        !self.past.is_empty()
    }

    pub fn can_redo(&self) -> bool {
        !self.undone.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_go_back_and_forth() {
        let mut history = History::default();
        history.record(0, "a", 0.0);
        history.record(1, "b", 1.0);
        assert_eq!(history.undo(2), Some(1));
        assert_eq!(history.undo(1), Some(0));
        assert_eq!(history.undo(0), None);
        assert_eq!(history.redo(0), Some(1));
        assert_eq!(history.redo(1), Some(2));
        assert!(!history.can_redo());
    }

    #[test]
    fn typing_is_one_step_until_a_pause() {
        let mut history = History::default();
        for (value, now) in [(0, 0.0), (1, 300.0), (2, 900.0), (3, 2500.0)] {
            history.record(value, "prompt", now);
        }
        assert_eq!(history.undo(4), Some(3));
        assert_eq!(history.undo(3), Some(0));
        assert_eq!(history.undo(0), None);
    }

    #[test]
    fn a_new_change_forgets_what_was_undone() {
        let mut history = History::default();
        history.record(0, "a", 0.0);
        assert_eq!(history.undo(1), Some(0));
        history.record(0, "b", 1.0);
        assert_eq!(history.redo(5), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut history = History::default();
        (0..500).for_each(|i| history.record(i, "a", f64::from(i) * 10_000.0));
        assert_eq!(history.past.len(), DEPTH);
    }
}
