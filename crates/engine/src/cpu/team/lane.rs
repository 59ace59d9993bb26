//! A thread that computes what it is asked to, until the team ends.

use super::layout::{Claims, Description, INPUT, Job, LaneWords, READY, output};
use super::{CpuMatrix, SharedMemory, Way};
use std::collections::HashMap;
use std::time::Duration;

/// How long a lane sleeps at a time when nobody wakes it.
const NIGHT: Duration = Duration::from_secs(60);

/// Works as lane number `lane` of the team whose memory this is, until the team is dropped.
pub fn work_as_lane(memory: &dyn SharedMemory, lane: usize) {
    let words = LaneWords::of(lane);
    let mut held: HashMap<u32, CpuMatrix> = HashMap::new();
    let mut last = 0;
    memory.store(words.state(), READY);
    loop {
        let word = memory.load(words.claims());
        let claims = Claims::of(word);
        let tag = claims.tag;
        if tag == last || claims.left() == 0 {
            memory.wait(words.claims(), word, NIGHT);
            continue;
        }
        let description = Description::read(memory, words);
        // Where the owner has gone on without this lane, that may be half of one job and half of the next.
        if Claims::of(memory.load(words.claims())).tag != tag {
            continue;
        }
        last = tag;
        let Some(description) = description else { continue };
        let current = Current { memory, words, tag };
        match description.job {
            Job::Product => {
                if let Some(w) = held.get(&description.matrix) {
                    current.multiply(w, &description, lane);
                }
            }
            Job::Keep => {
                let Description { matrix, quant, cols, rows, n, .. } = description;
                if current.take().is_some() {
                    let w = held.entry(matrix).or_insert_with(|| CpuMatrix::new(quant, n, cols));
                    let mut bytes = vec![0; rows * w.row_bytes()];
                    memory.read(INPUT, &mut bytes);
                    w.push_rows(w.bytes() / w.row_bytes(), &bytes);
                    current.done(1);
                }
            }
            Job::Forget => {
                if current.take().is_some() {
                    held.clear();
                    current.done(1);
                }
            }
            Job::End => return,
        }
    }
}

/// The job that a lane is at.
struct Current<'a> {
    memory: &'a dyn SharedMemory,
    words: LaneWords,
    tag: u32,
}

impl Current<'_> {
    /// The number of a piece that is now this lane's to compute; `None` when all are taken, or the job is over.
    fn take(&self) -> Option<usize> {
        loop {
            let word = self.memory.load(self.words.claims());
            let claims = Claims::of(word);
            if claims.tag != self.tag || claims.left() == 0 {
                return None;
            }
            let taken = Claims { taken: claims.taken + 1, ..claims };
            if self.memory.exchange(self.words.claims(), word, taken.word()) {
                return Some(claims.taken);
            }
        }
    }

    /// Says that so many pieces are done, from the first.
    fn done(&self, pieces: usize) {
        let done = Claims { tag: self.tag, taken: pieces, end: 0 };
        self.memory.store(self.words.done(), done.word());
        self.memory.wake(self.words.done());
    }

    fn multiply(&self, w: &CpuMatrix, description: &Description, lane: usize) {
        let &Description { cols, rows, n, many_rows, piece_rows, .. } = description;
        let way = if many_rows { Way::ManyRows } else { Way::FewRows };
        // The owner may take all pieces while this is read, and write another job's: then no piece is left to take.
        let mut x = vec![0f32; n * cols];
        self.memory.read(INPUT, bytemuck::cast_slice_mut(&mut x));
        let x = w.prepare(&x, way);
        let mut out = vec![0f32; piece_rows * n];
        while let Some(piece) = self.take() {
            let first = piece * piece_rows;
            let out = &mut out[..piece_rows.min(rows - first) * n];
            w.multiply(first, &x, n, way, out);
            self.memory.write(output(lane) + first * n * size_of::<f32>(), bytemuck::cast_slice(out));
            self.done(piece + 1);
        }
    }
}
