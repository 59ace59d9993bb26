//! Products divided among threads that share nothing but a piece of memory: a tab's workers.
//!
//! A tab's WebAssembly has a memory of its own, so its threads cannot read one another's weights. Each *lane* (a thread
//! beside the one that owns the engine) holds a copy of some rows of every large matrix; the owner holds all rows. A
//! product's activations and what the lanes make of them go through memory that all threads see ([`SharedMemory`]).
//!
//! Rows of weights are multiplied by the very kernels of the undivided product, and a row's sum does not depend on its
//! neighbours: the numbers are the same to the bit, whoever computes them.
//!
//! A lane takes the pieces of its rows from the front, one after the other; the owner, done with its own rows, takes
//! them from the back. So cores of different speeds end together, and a lane that sleeps delays nothing. Only a piece
//! that a lane has taken is waited for, and not for ever: then the owner computes it too, and never asks that lane again.

mod lane;
mod layout;

pub use lane::work_as_lane;

use super::matrix::{CpuMatrix, Way};
use layout::{Claims, Description, INPUT, INPUT_BYTES, Job, LaneWords, OUTPUT_BYTES, READY, output};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

/// Memory that several threads see: words, counted from 0, and behind them bytes.
///
/// What is written before [`store`](Self::store) or [`exchange`](Self::exchange) of a word is seen by a thread that has
/// seen the word's new value.
pub trait SharedMemory {
    fn load(&self, word: usize) -> u32;
    fn store(&self, word: usize, value: u32);
    /// Whether the word was `from`, and is now `to`.
    fn exchange(&self, word: usize, from: u32, to: u32) -> bool;
    /// Until the word may have another value than `value`, and no longer than `at_most`.
    fn wait(&self, word: usize, value: u32, at_most: Duration);
    /// Wakes whoever waits for the word.
    fn wake(&self, word: usize);
    /// At `at`, counted in bytes from the memory's beginning.
    fn write(&self, at: usize, bytes: &[u8]);
    /// From `at`, counted in bytes from the memory's beginning.
    fn read(&self, at: usize, bytes: &mut [u8]);
}

/// Multiplications below which a product is not worth a word to others.
const LEAST_WORK: usize = 1 << 16;

/// Pieces into which a lane's share of a product is divided, at the most: what the owner waits for at the end is one.
const PIECES: usize = 12;
const _: () = assert!(PIECES <= Claims::MOST_PIECES);

/// Rows of a piece are a multiple of this, and so are the rows that are shared: whole tiles of the kernel for many rows.
const ROWS: usize = 12;

/// How long a lane is waited for that has taken a piece: so many times, so long. A tab that was put to sleep finds, awake
/// again, that one of them has passed.
const PATIENCE: (u32, Duration) = (40, Duration::from_millis(50));

/// The lanes, as the engine's thread sees them.
pub struct Team {
    memory: Box<dyn SharedMemory>,
    lanes: Vec<Lane>,
    /// Names the job that was handed out last.
    tag: Cell<u32>,
    /// By matrix, who has a copy of which rows: they follow one another to the matrix's end.
    shares: RefCell<HashMap<u32, Rc<[Share]>>>,
    /// Bytes of weights that the lanes may yet be given.
    room: Cell<usize>,
    most_bytes: usize,
}

struct Lane {
    words: LaneWords,
    given_up: Cell<bool>,
}

struct Share {
    lane: usize,
    rows: Range<usize>,
}

impl Share {
    fn piece_rows(&self) -> usize {
        self.rows.len().div_ceil(PIECES).next_multiple_of(ROWS)
    }

    /// The rows of pieces, counted from the matrix's first row.
    fn rows_of(&self, pieces: Range<usize>) -> Range<usize> {
        let start = |piece: usize| (self.rows.start + piece * self.piece_rows()).min(self.rows.end);
        start(pieces.start)..start(pieces.end)
    }
}

impl Team {
    /// Bytes of memory that so many lanes need.
    pub fn memory_bytes(lanes: usize) -> usize {
        output(lanes)
    }

    /// `memory`: at least [`Team::memory_bytes`] of zeros, in which so many lanes work, or will ([`work_as_lane`]).
    /// `most_bytes`: of weights, that all lanes together may hold; products with further matrices are not divided.
    pub fn new(memory: Box<dyn SharedMemory>, lanes: usize, most_bytes: usize) -> Team {
        assert!(lanes <= layout::MOST_LANES, "at most {} lanes", layout::MOST_LANES);
        let lane = |lane| Lane { words: LaneWords::of(lane), given_up: Cell::new(false) };
        Team {
            memory,
            lanes: (0..lanes).map(lane).collect(),
            tag: Cell::new(0),
            shares: RefCell::default(),
            room: Cell::new(most_bytes),
            most_bytes,
        }
    }

    /// Threads that compute: the engine's own, and the lanes that have begun and were not given up.
    pub fn threads(&self) -> usize {
        1 + self.present().count()
    }

    fn present(&self) -> impl Iterator<Item = usize> {
        let is_there = |lane: &Lane| !lane.given_up.get() && self.memory.load(lane.words.state()) == READY;
        (0..self.lanes.len()).filter(move |&lane| is_there(&self.lanes[lane]))
    }

    /// The lanes drop the weights that they hold: those of another model.
    pub(crate) fn forget(&self) {
        self.shares.borrow_mut().clear();
        self.room.set(self.most_bytes);
        for lane in self.present() {
            self.begin(lane, &Description::of(Job::Forget), 1);
            self.finish(lane, 1);
        }
    }

    /// `w x^T` to `out`, `[rows, n]`; `x`: `[n, cols]`. `compute` computes such rows here, to their part of `out`.
    pub(super) fn multiply(
        &self,
        w: &CpuMatrix,
        x: &[f32],
        n: usize,
        way: Way,
        out: &mut [f32],
        compute: &dyn Fn(Range<usize>, &mut [f32]),
    ) {
        let mut here = |rows: Range<usize>| compute(rows.clone(), &mut out[rows.start * n..rows.end * n]);
        if x.len() * w.rows() < LEAST_WORK || size_of_val(x) > INPUT_BYTES {
            return here(0..w.rows());
        }
        let shares = self.shares(w);
        let fits = |share: &Share| share.rows.len() * n * size_of::<f32>() <= OUTPUT_BYTES;
        let (shared, alone): (Vec<&Share>, Vec<&Share>) =
            shares.iter().partition(|share| !self.lanes[share.lane].given_up.get() && fits(share));
        if shared.is_empty() {
            return here(0..w.rows());
        }
        self.memory.write(INPUT, bytemuck::cast_slice(x));
        let many_rows = way == Way::ManyRows;
        for share in &shared {
            let (rows, piece_rows) = (share.rows.len(), share.piece_rows());
            let (matrix, quant, cols) = (w.id(), w.quant(), w.cols());
            let job = Description { job: Job::Product, matrix, quant, cols, rows, n, many_rows, piece_rows };
            self.begin(share.lane, &job, rows.div_ceil(piece_rows));
        }

        here(0..shares[0].rows.start);
        alone.iter().for_each(|share| here(share.rows.clone()));
        while let Some((share, piece)) = self.take_back(&shared) {
            here(share.rows_of(piece..piece + 1));
        }
        for share in shared {
            let taken = self.claims(share.lane).taken;
            let done = self.finish(share.lane, taken);
            let rows = share.rows_of(0..done);
            let part = &mut out[rows.start * n..rows.end * n];
            self.memory.read(output(share.lane), bytemuck::cast_slice_mut(part));
            let rows = share.rows_of(done..taken);
            compute(rows.clone(), &mut out[rows.start * n..rows.end * n]);
        }
    }

    /// A piece that is now the owner's to compute, from the back of the share of which most is left.
    fn take_back<'a>(&self, shares: &[&'a Share]) -> Option<(&'a Share, usize)> {
        loop {
            let left = shares.iter().map(|&share| (share, self.claims(share.lane)));
            let (share, claims) = left.max_by_key(|(_, claims)| claims.left()).filter(|(_, c)| c.left() > 0)?;
            let taken = Claims { end: claims.end - 1, ..claims };
            if self.memory.exchange(self.lanes[share.lane].words.claims(), claims.word(), taken.word()) {
                return Some((share, taken.end));
            }
        }
    }

    fn claims(&self, lane: usize) -> Claims {
        Claims::of(self.memory.load(self.lanes[lane].words.claims()))
    }

    /// Gives a lane a job of so many pieces.
    fn begin(&self, lane: usize, job: &Description, pieces: usize) {
        let words = self.lanes[lane].words;
        self.tag.set(Claims::tag_after(self.tag.get()));
        let claims = Claims { tag: self.tag.get(), taken: 0, end: pieces };
        // A lane that is still reading what the job before was about sees by the new tag that it may have read both.
        self.memory.store(words.claims(), Claims { end: 0, ..claims }.word());
        job.write(&*self.memory, words);
        self.memory.store(words.claims(), claims.word());
        self.memory.wake(words.claims());
    }

    /// Waits until the lane has done so many pieces of its job. Returns how many it has done; fewer where it takes too
    /// long, and then it gets no further job.
    fn finish(&self, lane: usize, pieces: usize) -> usize {
        let Lane { words, given_up } = &self.lanes[lane];
        let tag = self.claims(lane).tag;
        let (times, pause) = PATIENCE;
        let mut waited = 0;
        loop {
            let word = self.memory.load(words.done());
            let done = Claims::of(word);
            let done = if done.tag == tag { done.taken } else { 0 };
            if done >= pieces {
                return done;
            }
            if waited == times {
                given_up.set(true);
                return done;
            }
            self.memory.wait(words.done(), word, pause);
            waited += 1;
        }
    }

    /// Who has which rows of `w`. At the first product with it, the lanes that are there get theirs.
    fn shares(&self, w: &CpuMatrix) -> Rc<[Share]> {
        if let Some(shares) = self.shares.borrow().get(&w.id()) {
            return shares.clone();
        }
        let lanes: Vec<usize> = self.present().collect();
        let rows = w.rows() / (lanes.len() + 1) / ROWS * ROWS;
        let bytes = rows * lanes.len() * w.row_bytes();
        if bytes == 0 || bytes > self.room.get() {
            return Rc::new([]);
        }
        self.room.set(self.room.get() - bytes);
        let first = w.rows() - rows * lanes.len();
        let share = |(i, lane)| Share { lane, rows: first + i * rows..first + (i + 1) * rows };
        let shares: Rc<[Share]> = lanes.into_iter().enumerate().map(share).collect();
        shares.iter().for_each(|share| self.give(w, share));
        self.shares.borrow_mut().insert(w.id(), shares.clone());
        shares
    }

    fn give(&self, w: &CpuMatrix, share: &Share) {
        let at_once = (INPUT_BYTES / w.row_bytes()).max(1);
        for first in share.rows.clone().step_by(at_once) {
            let rows = first..share.rows.end.min(first + at_once);
            if self.lanes[share.lane].given_up.get() {
                return;
            }
            self.memory.write(INPUT, w.rows_from(rows.start, rows.len()));
            let about = Description { matrix: w.id(), quant: w.quant(), cols: w.cols(), ..Description::of(Job::Keep) };
            self.begin(share.lane, &Description { rows: rows.len(), n: share.rows.len(), ..about }, 1);
            self.finish(share.lane, 1);
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        (0..self.lanes.len()).for_each(|lane| self.begin(lane, &Description::of(Job::End), 1));
    }
}

#[cfg(test)]
mod tests;
