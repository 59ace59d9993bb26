//! Thousands of texts read as one job: memory is a step's, however many texts there are; progress goes on; and the job
//! can be stopped at any step.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use tiller_engine::{BackendKind, Controls, EngineError, Harvest, Reading, Site, TapRows};
use tiller_experiment::Session;
use tiller_model::TinyLlama;
use tiller_tests::{load, open};

/// Bytes that live on the heap of this program, and the most of them since [`peak_of`] began.
static HEAP: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);

/// The system's allocator, with a count.
struct Counting;

// SAFETY: everything is the system allocator's own doing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size() as i64;
        PEAK.fetch_max(HEAP.fetch_add(size, Relaxed) + size, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HEAP.fetch_sub(layout.size() as i64, Relaxed);
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The heap is all tests' together: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// The most bytes on the heap while `work` runs, beyond those before it.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, i64) {
    let before = HEAP.load(Relaxed);
    PEAK.store(before, Relaxed);
    let done = work();
    (done, PEAK.load(Relaxed) - before)
}

const TEXTS: usize = 2000;
/// Tokens for which the KV cache has room: several groups of texts take turns in it.
const CONTEXT: u32 = 256;
/// The middle of the model's 30 blocks.
const MIDDLE: Site = Site::ResidPost(14);

/// Of three to five tokens each.
fn texts(count: usize) -> Vec<Vec<u32>> {
    let token = |n: usize| 1000 + (n * 7919 % 20_000) as u32;
    (0..count).map(|text| (0..3 + text % 3).map(|n| token(5 * text + n)).collect()).collect()
}

fn middle(prompts: &[Vec<u32>]) -> Harvest<'_> {
    Harvest { prompts, sites: &[MIDDLE], rows: TapRows::Picks, edits: &[] }
}

/// The texts read, and what progress was told.
fn read(session: &mut Session, prompts: &[Vec<u32>], controls: &impl Controls) -> (usize, Vec<(u64, u64)>) {
    let (mut texts, mut told) = (0, Vec::new());
    let sink = |reading: Reading<'_>| {
        assert_eq!((reading.site, reading.values.len()), (MIDDLE, 576));
        assert_eq!(reading.prompt, texts, "texts come in their order");
        texts += 1;
    };
    let progress = |done, total| told.push((done, total));
    pollster::block_on(session.engine.harvest(&middle(prompts), controls, progress, sink)).expect("the texts are read");
    (texts, told)
}

#[test]
fn two_thousand_texts_take_no_more_memory_than_two_hundred() {
    let _alone = ALONE.lock();
    let mut session = load(BackendKind::Cpu, CONTEXT);
    let prompts = texts(TEXTS);
    let tokens: u64 = prompts.iter().map(|prompt| prompt.len() as u64).sum();
    // The first texts fill the KV cache, once and for all.
    read(&mut session, &prompts[..100], &());
    let (_, of_few) = peak_of(|| read(&mut session, &prompts[..200], &()));
    let ((texts, told), of_many) = peak_of(|| read(&mut session, &prompts, &()));
    println!("{of_few} bytes at most for 200 texts, {of_many} for {TEXTS}");
    // 2,000 activations have 4.6 MB, the rows of their tokens 0.3 MB.
    assert!(of_many < of_few + (192 << 10), "{of_few} bytes at most for 200 texts, {of_many} for {TEXTS}");

    assert_eq!(texts, TEXTS);
    assert!(told.windows(2).all(|pair| pair[0].0 < pair[1].0), "progress goes on");
    assert!(told.len() > 50 && told.iter().all(|&(_, total)| total == tokens), "{} reports", told.len());
    assert_eq!(told.last(), Some(&(tokens, tokens)));
}

/// Stops once it has been asked so many times.
struct Impatient {
    left: Cell<u32>,
}

impl Controls for Impatient {
    fn cancelled(&self) -> bool {
        self.left.replace(self.left.get().saturating_sub(1)) == 0
    }
}

#[test]
fn a_job_of_many_texts_ends_at_the_step_at_which_it_is_stopped() {
    let _alone = ALONE.lock();
    let mut session = load(BackendKind::Cpu, CONTEXT);
    let prompts = texts(TEXTS);
    let (steps, texts) = (Cell::new(0), Cell::new(0));
    let (what, impatient) = (middle(&prompts), Impatient { left: Cell::new(3) });
    let stopped =
        session.engine.harvest(&what, &impatient, |_, _| steps.set(steps.get() + 1), |_| texts.set(texts.get() + 1));
    let stopped = pollster::block_on(stopped);
    assert!(matches!(stopped, Err(EngineError::Cancelled)), "{stopped:?}");
    // A step has at most 128 tokens, and 32 ends of texts.
    assert_eq!(steps.get(), 3);
    assert!((60..=96).contains(&texts.get()), "{} texts", texts.get());
}

#[test]
fn on_the_gpu_memory_stays_and_no_block_after_the_last_that_is_read_is_run() {
    let _alone = ALONE.lock();
    let file = TinyLlama::default().to_gguf().expect("the widths are whole blocks");
    let gpu = open(BackendKind::Gpu).expect("it was opened");
    let loading = Session::load(&file, Some(gpu.clone()), CONTEXT, &(), |_, _| {});
    let mut session = pollster::block_on(loading).expect("the model loads");
    let vocabulary = session.engine.config().vocab;
    let layers = session.engine.config().layers;
    let prompts: Vec<Vec<u32>> =
        texts(TEXTS).into_iter().map(|text| text.into_iter().map(|token| token % vocabulary).collect()).collect();
    let mut dispatches = |site: Site| {
        let sites = [site];
        let what = Harvest { sites: &sites, ..middle(&prompts) };
        let (before, mut bytes, mut read) = (gpu.work(), Vec::new(), 0);
        let progress = |_, _| bytes.push(gpu.allocated_bytes());
        pollster::block_on(session.engine.harvest(&what, &(), progress, |_| read += 1)).expect("the texts are read");
        assert_eq!(read, TEXTS);
        assert!(bytes[2..].iter().all(|now| *now == bytes[2]), "memory on the device changes: {bytes:?}");
        ((gpu.work() - before).dispatches, bytes.len() as u64)
    };
    let ((first, steps), (last, _)) = (dispatches(Site::ResidPost(0)), dispatches(Site::ResidPost(layers - 1)));
    // A block is more than four dispatches, and there is one more of them.
    assert_eq!(layers, 2);
    assert!(last - first > 4 * steps, "{first} and {last} dispatches in {steps} steps");
}
