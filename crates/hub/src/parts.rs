//! A long file in parts, several requested side by side.
//!
//! One connection seldom fills a line, and a file's checksum must be computed from its beginning on. So a few parts next
//! to each other are on their way at a time; the first of them is handed on as soon as it is whole, and only then is
//! another begun. Parts outlive a connection that breaks: what they hold is not asked for again.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// Bytes of a part.
pub(crate) const PART_BYTES: u64 = 4 << 20;
/// Parts that are held at a time, whole or not: what a transfer takes of memory is this many times [`PART_BYTES`].
const PARTS_HELD: usize = 4;

/// Bytes `start .. end` of a file, as far as they are here.
#[derive(Debug)]
pub(crate) struct Part {
    start: u64,
    end: u64,
    /// How many have come; they stay counted when they are handed on, before their connection has said that it ends.
    received: Cell<u64>,
    bytes: RefCell<Vec<u8>>,
}

impl Part {
    /// The bytes that are still to come.
    pub fn missing(&self) -> std::ops::Range<u64> {
        self.start + self.received.get()..self.end
    }

    pub fn is_whole(&self) -> bool {
        self.missing().is_empty()
    }

    /// Adds what came; `false`, and nothing is added, where that is more than the part has room for.
    pub fn push(&self, bytes: &[u8]) -> bool {
        let missing = self.missing();
        let fits = bytes.len() as u64 <= missing.end - missing.start;
        if fits {
            let mut held = self.bytes.borrow_mut();
            if held.is_empty() {
                held.reserve_exact((self.end - self.start) as usize);
            }
            held.extend_from_slice(bytes);
            self.received.set(self.received.get() + bytes.len() as u64);
        }
        fits
    }
}

/// The parts between what was handed on and what was not asked for yet.
#[derive(Debug)]
pub(crate) struct Parts {
    held: VecDeque<Rc<Part>>,
    next: u64,
    end: u64,
}

impl Parts {
    /// Of the bytes `from .. end` of a file, `None` where they are too few to be worth several requests.
    pub fn of(from: u64, end: u64) -> Option<Parts> {
        let long = end.saturating_sub(from) > 2 * PART_BYTES;
        long.then(|| Parts { held: VecDeque::new(), next: from, end })
    }

    /// Another part to ask for, while there is one and room for it.
    pub fn begin(&mut self) -> Option<Rc<Part>> {
        if self.held.len() == PARTS_HELD || self.next >= self.end {
            return None;
        }
        let end = (self.next + PART_BYTES).min(self.end);
        let part = Rc::new(Part { start: self.next, end, received: Cell::new(0), bytes: RefCell::default() });
        self.next = end;
        self.held.push_back(part.clone());
        Some(part)
    }

    /// The first part's bytes, once it is whole.
    pub fn take_whole(&mut self) -> Option<Vec<u8>> {
        let whole = self.held.front().is_some_and(|part| part.is_whole());
        whole.then(|| self.held.pop_front().map(|part| part.bytes.take())).flatten()
    }

    /// The parts that were begun and are not whole.
    pub fn unfinished(&self) -> Vec<Rc<Part>> {
        self.held.iter().filter(|part| !part.is_whole()).cloned().collect()
    }

    /// Bytes that are held.
    pub fn bytes(&self) -> u64 {
        self.held.iter().map(|part| part.bytes.borrow().len() as u64).sum()
    }

    /// What follows without a gap on what was handed on, when no more is to come.
    pub fn take_rest(self) -> Vec<Vec<u8>> {
        let mut rest = Vec::new();
        for part in self.held {
            let whole = part.is_whole();
            rest.push(part.bytes.take());
            if !whole {
                break;
            }
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(part: &Part, bytes: u64) {
        assert!(part.push(&vec![7; bytes as usize]));
    }

    #[test]
    fn parts_cover_the_file_in_order_and_few_are_held() {
        let end = 6 * PART_BYTES + 5;
        let mut parts = Parts::of(3, end).unwrap();
        let mut at = 3;
        let mut handed_on = 0;
        loop {
            while let Some(part) = parts.begin() {
                assert_eq!(part.missing().start, at);
                at = part.missing().end;
            }
            assert!(parts.held.len() <= PARTS_HELD);
            let unfinished = parts.unfinished();
            // The last to come first: nothing is handed on before the first is whole.
            let Some(last) = unfinished.last() else { break };
            fill(last, last.missing().end - last.missing().start);
            while let Some(bytes) = parts.take_whole() {
                handed_on += bytes.len() as u64;
            }
        }
        assert_eq!((at, handed_on, parts.bytes()), (end, end - 3, 0));
    }

    #[test]
    fn what_is_kept_at_the_end_has_no_gap() {
        let mut parts = Parts::of(0, 4 * PART_BYTES).unwrap();
        let begun: Vec<_> = std::iter::from_fn(|| parts.begin()).collect();
        fill(&begun[0], PART_BYTES);
        fill(&begun[1], 10);
        fill(&begun[2], PART_BYTES);
        assert_eq!(parts.bytes(), 2 * PART_BYTES + 10);
        let rest: Vec<usize> = parts.take_rest().iter().map(Vec::len).collect();
        assert_eq!(rest, [PART_BYTES as usize, 10]);
    }

    #[test]
    fn a_part_that_was_handed_on_is_still_whole_to_its_connection() {
        let mut parts = Parts::of(0, 4 * PART_BYTES).unwrap();
        let part = parts.begin().unwrap();
        fill(&part, PART_BYTES);
        assert_eq!(parts.take_whole().map(|bytes| bytes.len() as u64), Some(PART_BYTES));
        assert!(part.is_whole() && !part.push(&[1]));
    }

    #[test]
    fn more_than_was_asked_for_is_refused() {
        let mut parts = Parts::of(0, 4 * PART_BYTES).unwrap();
        let part = parts.begin().unwrap();
        fill(&part, PART_BYTES - 1);
        assert!(!part.push(&[1, 2]));
        assert_eq!(part.missing(), PART_BYTES - 1..PART_BYTES);
    }

    #[test]
    fn a_short_file_is_not_cut_up() {
        assert!(Parts::of(0, 2 * PART_BYTES).is_none());
        assert!(Parts::of(10, 9).is_none());
    }
}
