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

/// `work` on every `len` numbers of `out` (fewer at its end), with their place among such pieces. It may keep something
/// from piece to piece.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn for_each_piece<K: Default>(
    out: &mut [f32],
    len: usize,
    work: impl Fn(&mut K, usize, &mut [f32]) + Send + Sync,
) {
    use rayon::prelude::*;
    out.par_chunks_mut(len).enumerate().for_each_init(K::default, |kept, (i, out)| work(kept, i, out));
}

/// `work` on every `len` numbers of `out` (fewer at its end), with their place among such pieces. It may keep something
/// from piece to piece.
#[cfg(target_arch = "wasm32")]
pub(crate) fn for_each_piece<K: Default>(out: &mut [f32], len: usize, work: impl Fn(&mut K, usize, &mut [f32])) {
    let mut kept = K::default();
    out.chunks_mut(len).enumerate().for_each(|(i, out)| work(&mut kept, i, out));
}
