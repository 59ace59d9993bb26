//! The engine's threads in a tab: workers with the same program, and memory that all of them see.
//!
//! Browsers share memory between the workers of a page that its server has isolated from other pages (the headers
//! `Cross-Origin-Opener-Policy: same-origin` and `Cross-Origin-Embedder-Policy: require-corp`); elsewhere one thread
//! computes.

use crate::host;
use js_sys::{Atomics, Int32Array, Object, Reflect, SharedArrayBuffer, Uint8Array};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tiller_engine::{SharedMemory, Team};
use wasm_bindgen::prelude::*;
use web_sys::{DedicatedWorkerGlobalScope, Event, Worker, WorkerOptions};

/// What the scope of a lane is called: by it the program knows that it is not the engine's worker.
const NAME: &str = "tiller lane";

/// Threads at the most: a product of a small model gains little from more, and every lane has memory of its own.
const MOST_THREADS: usize = 4;

/// Bytes of weights that the lanes may hold together, beside those that the engine holds.
const MOST_BYTES: usize = 512 << 20;

/// Seconds that lanes may take to begin. Who comes later is not used.
const START_S: f64 = 5.0;
/// Milliseconds from one look at whether they have begun to the next.
const LOOK_MS: i32 = 5;

/// How long a thread looks at a word before it sleeps: waking costs about as much as a small product.
const SPIN: Duration = Duration::from_micros(300);

/// Whether this program runs as a lane.
pub fn is_lane() -> bool {
    js_sys::global().unchecked_into::<DedicatedWorkerGlobalScope>().name() == NAME
}

/// The lanes of this tab. They end when this is dropped.
pub struct Lanes {
    pub team: Rc<Team>,
    workers: Vec<Worker>,
    _on_error: Closure<dyn FnMut(Event)>,
}

impl Lanes {
    /// Starts them, and waits until they have begun. `None` where there is one core, or no shared memory.
    pub async fn start() -> Option<Lanes> {
        let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
        let isolated = Reflect::get(&scope, &"crossOriginIsolated".into()).is_ok_and(|is| is.is_truthy());
        let cores = scope.navigator().hardware_concurrency() as usize;
        let lanes = cores.min(MOST_THREADS).saturating_sub(1);
        if !isolated || lanes == 0 {
            return None;
        }
        let buffer = SharedArrayBuffer::new(Team::memory_bytes(lanes) as u32);
        let team = Rc::new(Team::new(Box::new(Shared::new(&buffer)), lanes, MOST_BYTES));
        let failed = Rc::new(Cell::new(0));
        let on_error = {
            let failed = failed.clone();
            Closure::<dyn FnMut(Event)>::new(move |error: Event| {
                // Else it would be an error of this worker, and the page would take the engine for stopped.
                error.prevent_default();
                failed.set(failed.get() + 1);
                web_sys::console::warn_1(&"a thread beside the engine's has failed; the others do its work".into());
            })
        };
        let start = |lane| start_lane(&buffer, lane, &on_error);
        let workers = (0..lanes).map(start).collect::<Result<_, _>>().ok()?;
        let begun = host::seconds();
        while team.threads() + failed.get() <= lanes && host::seconds() - begun < START_S {
            host::sleep(LOOK_MS).await;
        }
        Some(Lanes { team, workers, _on_error: on_error })
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.workers.iter().for_each(Worker::terminate);
    }
}

fn start_lane(
    buffer: &SharedArrayBuffer,
    lane: usize,
    on_error: &Closure<dyn FnMut(Event)>,
) -> Result<Worker, JsValue> {
    let options = WorkerOptions::new();
    options.set_name(NAME);
    let worker = Worker::new_with_options("./lane.js", &options)?;
    worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
    let order = Object::new();
    let parts = [("module", wasm_bindgen::module()), ("memory", buffer.into()), ("lane", (lane as u32).into())];
    for (name, part) in parts {
        Reflect::set(&order, &name.into(), &part)?;
    }
    worker.post_message(&order)?;
    Ok(worker)
}

/// The whole life of a lane.
#[wasm_bindgen]
pub fn work_in_lane(memory: SharedArrayBuffer, lane: u32) {
    tiller_engine::work_as_lane(&Shared::new(&memory), lane as usize);
}

/// A `SharedArrayBuffer`.
struct Shared {
    words: Int32Array,
    bytes: Uint8Array,
}

/// JavaScript's atomics fail on what is no shared array, and on places outside it only.
const IN_ITS_ARRAY: &str = "a word of the shared memory";

impl Shared {
    fn new(buffer: &SharedArrayBuffer) -> Shared {
        Shared { words: Int32Array::new(buffer), bytes: Uint8Array::new(buffer) }
    }

    fn part(&self, at: usize, len: usize) -> Uint8Array {
        self.bytes.subarray(at as u32, (at + len) as u32)
    }
}

impl SharedMemory for Shared {
    fn load(&self, word: usize) -> u32 {
        Atomics::load(&self.words, word as u32).expect(IN_ITS_ARRAY) as u32
    }

    fn store(&self, word: usize, value: u32) {
        Atomics::store(&self.words, word as u32, value as i32).expect(IN_ITS_ARRAY);
    }

    fn exchange(&self, word: usize, from: u32, to: u32) -> bool {
        let before = Atomics::compare_exchange(&self.words, word as u32, from as i32, to as i32);
        before.expect(IN_ITS_ARRAY) as u32 == from
    }

    fn wait(&self, word: usize, value: u32, at_most: Duration) {
        /// Looks between two looks at the clock.
        const LOOKS: u32 = 32;
        let until = host::seconds() + SPIN.as_secs_f64();
        loop {
            if (0..LOOKS).any(|_| self.load(word) != value) {
                return;
            }
            if host::seconds() >= until {
                break;
            }
        }
        let milliseconds = at_most.as_secs_f64() * 1000.0;
        Atomics::wait_with_timeout(&self.words, word as u32, value as i32, milliseconds).expect(IN_ITS_ARRAY);
    }

    fn wake(&self, word: usize) {
        Atomics::notify(&self.words, word as u32).expect(IN_ITS_ARRAY);
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        self.part(at, bytes.len()).copy_from(bytes);
    }

    fn read(&self, at: usize, bytes: &mut [u8]) {
        self.part(at, bytes.len()).copy_to(bytes);
    }
}
