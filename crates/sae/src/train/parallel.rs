//! Independent pieces of work, on all cores where there are threads.

/// `work(0), .., work(n - 1)`, in this order.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn map<T: Send>(n: usize, work: impl Fn(usize) -> T + Send + Sync) -> Vec<T> {
    use rayon::prelude::*;
    (0..n).into_par_iter().map(work).collect()
}

/// `work(0), .., work(n - 1)`, one after the other: a tab's worker has one thread.
#[cfg(target_arch = "wasm32")]
pub(super) fn map<T>(n: usize, work: impl Fn(usize) -> T) -> Vec<T> {
    (0..n).map(work).collect()
}

/// `work` on every item, with its place.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn for_each<T: Send>(items: &mut [T], work: impl Fn(usize, &mut T) + Send + Sync) {
    use rayon::prelude::*;
    items.par_iter_mut().enumerate().for_each(|(i, item)| work(i, item));
}

/// `work` on every item, with its place.
#[cfg(target_arch = "wasm32")]
pub(super) fn for_each<T>(items: &mut [T], work: impl Fn(usize, &mut T)) {
    items.iter_mut().enumerate().for_each(|(i, item)| work(i, item));
}
