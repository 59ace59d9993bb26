//! Where the owner and its lanes find what in the memory that they share.

use super::SharedMemory;
use tiller_formats::Quant;

pub(super) const MOST_LANES: usize = 8;

/// Words of a lane; what it writes lies in another cache line than what it reads.
const LANE_WORDS: usize = 48;

/// Where a job's activations, or rows of weights, begin. All places behind the words are counted in bytes.
pub(super) const INPUT: usize = MOST_LANES * LANE_WORDS * size_of::<u32>();
/// 128 rows of 16,384 numbers.
pub(super) const INPUT_BYTES: usize = 8 << 20;
/// What a lane may compute in one job.
pub(super) const OUTPUT_BYTES: usize = 16 << 20;

/// Where a lane's results begin.
pub(super) const fn output(lane: usize) -> usize {
    INPUT + INPUT_BYTES + lane * OUTPUT_BYTES
}

/// A lane's [`LaneWords::state`] from when it looks for jobs. Memory begins as zeros.
pub(super) const READY: u32 = 1;

/// Which words are a lane's.
#[derive(Clone, Copy)]
pub(super) struct LaneWords(usize);

impl LaneWords {
    pub fn of(lane: usize) -> LaneWords {
        LaneWords(lane * LANE_WORDS)
    }

    /// [`Claims`]: which job there is, and which of its pieces nobody has taken.
    pub fn claims(self) -> usize {
        self.0
    }

    /// [`Claims`] of the same job, of which `taken` is how many pieces the lane has done.
    pub fn done(self) -> usize {
        self.0 + 16
    }

    pub fn state(self) -> usize {
        self.0 + 17
    }

    fn description(self) -> usize {
        self.0 + 32
    }
}

/// A job, and the pieces of it: the lane takes them from the front, the owner from the back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub tag: u32,
    /// Pieces that the lane has taken.
    pub taken: usize,
    /// Where the pieces begin that the owner has taken.
    pub end: usize,
}

impl Claims {
    /// What six bits count.
    pub const MOST_PIECES: usize = 63;
    const TAGS: u32 = 1 << 20;

    pub fn of(word: u32) -> Claims {
        Claims { tag: word >> 12, taken: (word >> 6 & 63) as usize, end: (word & 63) as usize }
    }

    pub fn word(self) -> u32 {
        self.tag << 12 | (self.taken as u32) << 6 | self.end as u32
    }

    pub fn left(self) -> usize {
        self.end.saturating_sub(self.taken)
    }

    /// The next job's tag. No job has the tag 0, with which memory begins.
    pub fn tag_after(tag: u32) -> u32 {
        (tag + 1) % Claims::TAGS + u32::from(tag + 1 == Claims::TAGS)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// Multiply rows of the matrix with the activations.
    Product,
    /// Keep these rows of the matrix, which follow those that came before.
    Keep,
    /// Drop all matrices.
    Forget,
    /// Stop.
    End,
}

/// What a job is about, as far as its kind asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub job: Job,
    pub matrix: u32,
    pub quant: Quant,
    pub cols: usize,
    /// Of a product: the rows of the share. Of rows to keep: how many come.
    pub rows: usize,
    /// Rows of activations. Of rows to keep: the rows of the share.
    pub n: usize,
    /// Whether weights are unpacked once for all rows of activations.
    pub many_rows: bool,
    pub piece_rows: usize,
}

impl Description {
    const JOBS: [Job; 4] = [Job::Product, Job::Keep, Job::Forget, Job::End];
    const WORDS: usize = 8;

    /// Of a job that is about no matrix.
    pub fn of(job: Job) -> Description {
        let quant = Quant::F32;
        Description { job, matrix: 0, quant, cols: 0, rows: 0, n: 0, many_rows: false, piece_rows: 0 }
    }

    pub fn write(&self, memory: &dyn SharedMemory, words: LaneWords) {
        let place = |quant: Quant| Quant::ALL.iter().position(|known| *known == quant).expect("all are listed");
        let values: [u32; Description::WORDS] = [
            self.job as u32,
            self.matrix,
            place(self.quant) as u32,
            self.cols as u32,
            self.rows as u32,
            self.n as u32,
            u32::from(self.many_rows),
            self.piece_rows as u32,
        ];
        for (i, value) in values.into_iter().enumerate() {
            memory.store(words.description() + i, value);
        }
    }

    /// `None` where what stands there is no description: it is being written.
    pub fn read(memory: &dyn SharedMemory, words: LaneWords) -> Option<Description> {
        let [job, matrix, quant, cols, rows, n, many_rows, piece_rows]: [u32; Description::WORDS] =
            std::array::from_fn(|i| memory.load(words.description() + i));
        Some(Description {
            job: *Description::JOBS.get(job as usize)?,
            matrix,
            quant: *Quant::ALL.get(quant as usize)?,
            cols: cols as usize,
            rows: rows as usize,
            n: n as usize,
            many_rows: many_rows == 1,
            piece_rows: piece_rows as usize,
        })
    }
}
