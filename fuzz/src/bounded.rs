//! An allocator that stops the program where reading an input takes more memory than the input can justify.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::process::abort;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The most that may be held at once while an input is read.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// For each byte of input.
    pub per_byte: usize,
    /// Whatever the input: tables that are made once, the smallest buffers.
    pub fixed: usize,
}

/// Runs `work` on an input of `len` bytes. Aborts, which the fuzzer reports as a crash, as soon as it would hold more
/// than `bound`; the memory is not asked for, so a promise of a terabyte is found as well as one of a megabyte.
pub fn bounded<T>(len: usize, bound: Bound, work: impl FnOnce() -> T) -> T {
    let limit = bound.fixed.saturating_add(bound.per_byte.saturating_mul(len));
    LIMIT.store(HELD.load(Relaxed).saturating_add(limit), Relaxed);
    let result = work();
    LIMIT.store(usize::MAX, Relaxed);
    result
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

/// Bytes that all threads hold.
static HELD: AtomicUsize = AtomicUsize::new(0);
/// The most that [`HELD`] may be.
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

fn hold(bytes: usize) {
    let held = HELD.fetch_add(bytes, Relaxed).saturating_add(bytes);
    let limit = LIMIT.load(Relaxed);
    if held > limit {
        LIMIT.store(usize::MAX, Relaxed);
        let _ =
            writeln!(std::io::stderr(), "asked for {bytes} bytes more: {} over what the input justifies", held - limit);
        abort();
    }
}

// SAFETY: the system's allocator does the work; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        hold(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        hold(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}
