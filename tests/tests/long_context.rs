//! What a token costs as its text grows, counted: what the device is given to do, and memory on both sides.
//!
//! A token reads the keys and values of all before it, and nothing else of it may grow. On the GPU, attention to more
//! than 512 keys takes its spans of 256 apart, which is one dispatch more for each such layer
//! (`crates/kernels/src/spans.rs`); within that, a span more is some workgroups more of the same dispatch.
//!
//! A small model writes a whole text of 4,096 tokens here. The same on the model of the other tests is measured by
//! `tiller bench --context 4096 --depths`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use tiller_engine::{BackendKind, Engine, Gpu};
use tiller_experiment::Session;
use tiller_kernels::Work;
use tiller_model::TinyLlama;
use tiller_tests::running::generation;
use tiller_tests::{load, open};

/// Bytes that live on the heap of this program.
static HEAP: AtomicI64 = AtomicI64::new(0);

/// The system's allocator, with a count.
struct Counting;

// SAFETY: everything is the system allocator's own doing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HEAP.fetch_add(layout.size() as i64, Relaxed);
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

const CONTEXT: u32 = 4096;

fn tiny(backend: BackendKind) -> Session {
    let file = TinyLlama { context: CONTEXT, ..TinyLlama::default() }.to_gguf().expect("the widths are whole blocks");
    pollster::block_on(Session::load(&file, open(backend), CONTEXT, &(), |_, _| {})).expect("the model loads")
}

/// How things stand when a token is handed out.
#[derive(Clone, Copy, Debug)]
struct State {
    work: Work,
    device_bytes: u64,
    heap_bytes: i64,
}

/// Writes `tokens` after `prompt`; how things stand at each of them.
fn watch(engine: &mut Engine, prompt: &[u32], tokens: u32) -> Vec<State> {
    let gpu: Option<Gpu> = engine.gpu().cloned();
    let mut states = Vec::with_capacity(tokens as usize);
    let on_token = |_| {
        states.push(State {
            work: gpu.as_ref().map(Gpu::work).unwrap_or_default(),
            device_bytes: gpu.as_ref().map_or(0, Gpu::allocated_bytes),
            heap_bytes: HEAP.load(Relaxed),
        });
    };
    let what = generation(&[prompt], tokens);
    pollster::block_on(engine.generate(&what, &(), || 0.0, on_token)).expect("it writes");
    assert_eq!(states.len(), tokens as usize);
    states
}

/// What was submitted between one token and the next. While two steps are in flight that is the step of the token after.
fn between(states: &[State]) -> Vec<Work> {
    states.windows(2).map(|pair| pair[1].work - pair[0].work).collect()
}

#[test]
fn a_token_far_into_a_text_costs_its_keys_and_values_and_one_dispatch_a_layer() {
    let _alone = ALONE.lock();
    let mut session = tiny(BackendKind::Gpu);
    let engine = &mut session.engine;
    let layers = u64::from(engine.config().layers);
    let states = watch(engine, &[5], CONTEXT);
    let plain = engine.step_cost(tiller_engine::DECODE_ROWS).expect("a plan was recorded").dispatches as u64;
    // Token n is written at position n: it sees n + 1 keys. When it is handed out, the step of token n + 1 is on its way,
    // so that between it and the next the step of token n + 2 is submitted; after the last there is none.
    let works = between(&states);
    let of_keys = |keys: usize| works[keys - 3];
    assert_eq!(works.last(), Some(&Work::default()));

    for keys in 3..=CONTEXT as usize {
        let work = of_keys(keys);
        assert_eq!((work.passes, work.submits, work.readback_bytes), (1, 1, 8), "{keys} keys");
        let more = if keys > 512 { layers } else { 0 };
        assert_eq!(work.dispatches, plain + more, "{keys} keys");
    }
    // Up to 512 keys the same workgroups; then each span of 256 adds the same number.
    let [short, three, four] = [512, 513, 769].map(|keys| of_keys(keys).workgroups);
    let a_span = four - three;
    assert!(a_span > 0 && three > short, "{short}, {three}, {four}");
    for keys in 3..=CONTEXT as usize {
        let expected = match keys {
            ..=512 => short,
            _ => three + (keys.div_ceil(256) as u64 - 3) * a_span,
        };
        assert_eq!(of_keys(keys).workgroups, expected, "{keys} keys");
    }
    // Bytes of keys and values, by formula: two layers, keys and values, two heads of 16, f32.
    for (position, bytes) in [(16, 17 * 512), (2048, 2049 * 512), (4000, 4001 * 512)] {
        assert_eq!(engine.kv_bytes_read(position), bytes);
    }
}

#[test]
fn memory_is_taken_once_however_long_the_text_becomes() {
    let _alone = ALONE.lock();
    let mut session = tiny(BackendKind::Gpu);
    let states = watch(&mut session.engine, &[5], CONTEXT);
    let at = |token: usize| states[token];
    for token in [512, 2048, 4000] {
        assert_eq!(at(token).device_bytes, at(16).device_bytes, "bytes on the device at token {token}");
    }
    // The list of the tokens is a vector of four bytes each that doubles. What else the heap holds is a step's own.
    let grown = states[16..=4000].iter().map(|state| state.heap_bytes - at(16).heap_bytes).max().unwrap();
    println!("{} bytes on the device; the heap grows by at most {grown} bytes", at(16).device_bytes);
    assert!(grown <= 4 * i64::from(CONTEXT) + SLACK, "the heap has grown by {grown} bytes");
}

/// What wgpu's lists of things in use may vary by.
const SLACK: i64 = 16 << 10;

/// The CPU's cache takes its room as the text grows into it, 128 tokens at a time, and keeps it.
#[test]
fn on_the_cpu_memory_grows_by_the_keys_and_values_alone() {
    let _alone = ALONE.lock();
    let mut session = tiny(BackendKind::Cpu);
    let engine = &mut session.engine;
    let weights = engine.device_bytes();
    let states = watch(engine, &[5], CONTEXT);
    let room = |tokens: usize| tokens.next_multiple_of(128) as i64 * 512;
    for token in [512, 2048, 4000] {
        let grown = states[token].heap_bytes - states[16].heap_bytes;
        let cache = room(token + 1) - room(17);
        println!("token {token}: {grown} bytes more, of which {cache} keys and values");
        assert!((0..=4 * i64::from(CONTEXT) + SLACK).contains(&(grown - cache)), "{grown} bytes, {cache} of the cache");
    }
    assert_eq!(engine.device_bytes() - weights, room(CONTEXT as usize) as u64);

    // A second text finds the room there.
    let again = watch(engine, &[5], CONTEXT);
    let grown = again[4000].heap_bytes - again[16].heap_bytes;
    assert!(grown <= 4 * i64::from(CONTEXT) + SLACK, "the second text has taken {grown} bytes");
}

/// The same of the real model, as far as a software GPU reads it in a few seconds: past 512 keys.
#[test]
fn the_real_models_token_costs_one_dispatch_a_layer_more_beyond_512_keys() {
    let _alone = ALONE.lock();
    let mut session = load(BackendKind::Gpu, CONTEXT);
    let engine = &mut session.engine;
    let layers = u64::from(engine.config().layers);
    let prompt: Vec<u32> = (0..500).map(|n| 1000 + 37 * n).collect();
    let states = watch(engine, &prompt, 32);
    let works = between(&states);
    let plain = engine.step_cost(tiller_engine::DECODE_ROWS).expect("a plan was recorded");
    for (n, work) in works[..works.len() - 1].iter().enumerate() {
        let keys = prompt.len() + n + 2;
        let dispatches = plain.dispatches as u64 + if keys > 512 { layers } else { 0 };
        assert_eq!((work.passes, work.submits, work.readback_bytes), (1, 1, 8), "{keys} keys");
        assert_eq!(work.dispatches, dispatches, "{keys} keys");
    }
    assert!(states.iter().all(|state| state.device_bytes == states[1].device_bytes), "memory on the device");
    // 30 layers, keys and values, three heads of 64, f32; weights as the file has them.
    assert_eq!(engine.kv_bytes_read(511), 512 * 46_080);
    assert_eq!(engine.weight_bytes_read(), Some(plain.weight_bytes));
}
