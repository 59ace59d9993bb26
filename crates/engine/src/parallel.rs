//! Independent pieces of work, on all cores where there are threads.

/// `work(0), .., work(n - 1)`, in this order.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn map<T: Send>(n: usize, work: impl Fn(usize) -> T + Send + Sync) -> Vec<T> {
    use rayon::prelude::*;
    (0..n).into_par_iter().map(work).collect()
}

/// `work(0), .., work(n - 1)`, one after the other: a tab's worker has one thread.
#[cfg(target_arch = "wasm32")]
pub(crate) fn map<T>(n: usize, work: impl Fn(usize) -> T) -> Vec<T> {
    (0..n).map(work).collect()
}
