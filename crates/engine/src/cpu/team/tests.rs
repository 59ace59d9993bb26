use super::super::matrix::{self, tests::noise};
use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;
use tiller_formats::Quant;

/// What threads of one process share.
struct Common {
    words: Vec<AtomicU32>,
    bytes: Vec<AtomicU8>,
    /// Lanes look for no jobs.
    asleep: AtomicBool,
    /// Nobody hears that lanes have done something.
    mute: AtomicBool,
    /// Results that lanes have written.
    results: AtomicUsize,
}

/// What one of them sees of it.
struct View {
    common: Arc<Common>,
    is_lane: bool,
}

impl SharedMemory for View {
    fn load(&self, word: usize) -> u32 {
        while self.is_lane && self.common.asleep.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        self.common.words[word].load(Ordering::SeqCst)
    }

    fn store(&self, word: usize, value: u32) {
        if !(self.is_lane && self.common.mute.load(Ordering::SeqCst)) {
            self.common.words[word].store(value, Ordering::SeqCst);
        }
    }

    fn exchange(&self, word: usize, from: u32, to: u32) -> bool {
        self.common.words[word].compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    fn wait(&self, word: usize, value: u32, at_most: Duration) {
        let begun = Instant::now();
        while self.load(word) == value && begun.elapsed() < at_most {
            thread::yield_now();
        }
    }

    fn wake(&self, _: usize) {}

    fn write(&self, at: usize, bytes: &[u8]) {
        if self.is_lane {
            self.common.results.fetch_add(1, Ordering::SeqCst);
        }
        for (to, byte) in self.common.bytes[at..at + bytes.len()].iter().zip(bytes) {
            to.store(*byte, Ordering::Relaxed);
        }
    }

    fn read(&self, at: usize, bytes: &mut [u8]) {
        for (from, byte) in self.common.bytes[at..at + bytes.len()].iter().zip(bytes) {
            *byte = from.load(Ordering::Relaxed);
        }
    }
}

/// A team whose lanes are threads; they end with it.
struct Threads {
    common: Arc<Common>,
    team: Option<Team>,
    lanes: Vec<JoinHandle<()>>,
}

impl Threads {
    fn new(lanes: usize) -> Threads {
        Threads::with_room(lanes, usize::MAX)
    }

    fn with_room(lanes: usize, most_bytes: usize) -> Threads {
        let common = Arc::new(Common {
            words: (0..INPUT / 4).map(|_| AtomicU32::new(0)).collect(),
            bytes: (0..Team::memory_bytes(lanes)).map(|_| AtomicU8::new(0)).collect(),
            asleep: AtomicBool::new(false),
            mute: AtomicBool::new(false),
            results: AtomicUsize::new(0),
        });
        let view = |is_lane| View { common: common.clone(), is_lane };
        let team = Team::new(Box::new(view(false)), lanes, most_bytes);
        let lane = |lane| {
            let memory = view(true);
            thread::spawn(move || work_as_lane(&memory, lane))
        };
        let lanes: Vec<_> = (0..lanes).map(lane).collect();
        while team.threads() <= lanes.len() {
            thread::yield_now();
        }
        Threads { common, team: Some(team), lanes }
    }

    fn team(&self) -> &Team {
        self.team.as_ref().expect("there until it is dropped")
    }

    /// Asks for a product until a lane has computed some of it.
    fn until_shared(&self, w: &[CpuMatrix; 1], x: &[f32], way: Way) -> Vec<f32> {
        let before = self.common.results.load(Ordering::SeqCst);
        loop {
            let product = matrix::multiply(x, w, way, Some(self.team()));
            if self.common.results.load(Ordering::SeqCst) > before {
                return product;
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.team = None;
        self.common.asleep.store(false, Ordering::SeqCst);
        self.lanes.drain(..).for_each(|lane| lane.join().expect("no lane panics"));
    }
}

/// Rows that divide into nothing, and columns that make enough work.
const ROWS: usize = 101;
const COLS: usize = 768;

fn weights(quant: Quant) -> [CpuMatrix; 1] {
    [matrix::tests::matrix(quant, ROWS, COLS, 1)]
}

const WAYS: [Way; 2] = [Way::FewRows, Way::ManyRows];

#[test]
fn a_divided_product_is_the_undivided_one_to_the_bit() {
    for lanes in [1, 3] {
        let threads = Threads::new(lanes);
        for quant in Quant::ALL {
            let w = weights(quant);
            for (n, way) in [1, 2, 9].into_iter().flat_map(|n| WAYS.map(|way| (n, way))) {
                let x = noise(n * COLS, n as u64);
                let alone = matrix::multiply(&x, &w, way, None);
                assert_eq!(threads.until_shared(&w, &x, way), alone, "{quant}, {n} rows, {way:?}, {lanes} lanes");
            }
        }
        assert_eq!(threads.team().threads(), 1 + lanes, "all lanes have held out");
    }
}

#[test]
fn matrices_of_one_operand_are_divided_each() {
    let threads = Threads::new(2);
    let w = [Quant::Q4_1, Quant::Q6K, Quant::F32].map(|quant| matrix::tests::matrix(quant, ROWS, COLS, 1));
    let x = noise(5 * COLS, 3);
    for way in WAYS {
        assert_eq!(matrix::multiply(&x, &w, way, Some(threads.team())), matrix::multiply(&x, &w, way, None));
    }
    assert_eq!(threads.team().shares.borrow().len(), 3);
}

#[test]
fn a_lane_that_sleeps_is_not_waited_for() {
    let threads = Threads::new(1);
    let w = weights(Quant::Q8_0);
    let x = noise(2 * COLS, 1);
    let alone = matrix::multiply(&x, &w, Way::FewRows, None);
    threads.until_shared(&w, &x, Way::FewRows);
    threads.common.asleep.store(true, Ordering::SeqCst);
    // It may be about to take one piece of the first product.
    thread::sleep(Duration::from_millis(20));
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(matrix::multiply(&x, &w, Way::FewRows, Some(threads.team())), alone);
    }
    assert!(begun.elapsed() < PATIENCE.1 * PATIENCE.0, "{:?}", begun.elapsed());
    threads.common.asleep.store(false, Ordering::SeqCst);
    assert_eq!(threads.until_shared(&w, &x, Way::FewRows), alone, "awake, it works again");
}

#[test]
fn a_lane_that_never_answers_is_given_up_and_the_product_is_right() {
    let w = weights(Quant::Q4K);
    let x = noise(3 * COLS, 1);
    for way in WAYS {
        let threads = Threads::new(1);
        let alone = matrix::multiply(&x, &w, way, None);
        assert_eq!(threads.until_shared(&w, &x, way), alone);
        threads.common.mute.store(true, Ordering::SeqCst);
        while threads.team().threads() == 2 {
            assert_eq!(matrix::multiply(&x, &w, way, Some(threads.team())), alone);
        }
        let begun = Instant::now();
        assert_eq!(matrix::multiply(&x, &w, way, Some(threads.team())), alone);
        assert!(begun.elapsed() < PATIENCE.1, "it is not asked again");
    }
}

#[test]
fn a_lane_that_does_not_take_its_rows_is_given_up_and_one_that_never_begins_is_not_asked() {
    let threads = Threads::new(1);
    threads.common.mute.store(true, Ordering::SeqCst);
    let w = weights(Quant::F16);
    let x = noise(COLS, 1);
    let alone = matrix::multiply(&x, &w, Way::FewRows, None);
    assert_eq!(matrix::multiply(&x, &w, Way::FewRows, Some(threads.team())), alone);
    assert_eq!(threads.team().threads(), 1);

    let view = View { common: threads.common.clone(), is_lane: false };
    threads.common.words.iter().for_each(|word| word.store(0, Ordering::SeqCst));
    let unborn = Team::new(Box::new(view), 1, usize::MAX);
    assert_eq!(matrix::multiply(&x, &w, Way::FewRows, Some(&unborn)), alone);
    assert_eq!((unborn.threads(), unborn.shares.borrow().len()), (1, 0));
}

#[test]
fn what_was_forgotten_is_given_anew() {
    let threads = Threads::new(2);
    let w = weights(Quant::Q5_0);
    let x = noise(COLS, 1);
    let alone = matrix::multiply(&x, &w, Way::FewRows, None);
    for _ in 0..3 {
        assert_eq!(threads.until_shared(&w, &x, Way::FewRows), alone);
        threads.team().forget();
        assert!(threads.team().shares.borrow().is_empty());
    }
}

#[test]
fn lanes_hold_no_more_than_they_may() {
    let w = weights(Quant::Q8_0);
    let threads = Threads::with_room(1, w[0].bytes());
    let more = [weights(Quant::Q8_0), weights(Quant::Q8_0)];
    let x = noise(COLS, 1);
    let alone = matrix::multiply(&x, &w, Way::FewRows, None);
    for w in more.iter().chain([&w]) {
        assert_eq!(matrix::multiply(&x, w, Way::FewRows, Some(threads.team())), alone);
    }
    // Half of each of two matrices is what one takes, to some rows.
    assert_eq!(threads.team().shares.borrow().len(), 2);
    threads.team().forget();
    threads.until_shared(&w, &x, Way::FewRows);
}

#[test]
fn claims_fit_into_a_word_and_no_job_has_the_tag_of_none() {
    let most = Claims { tag: (1 << 20) - 1, taken: Claims::MOST_PIECES, end: Claims::MOST_PIECES };
    assert_eq!(Claims::of(most.word()), most);
    assert_eq!((Claims::tag_after(0), Claims::tag_after(most.tag)), (1, 1));
}
