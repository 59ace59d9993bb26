//! Eight numbers at once: in a tab, on a processor with AVX2, and anywhere else.
//!
//! All `unsafe` of the CPU backend is in this module's three parts: loads and stores of arrays whose length is in their
//! type, and instructions of which [`run`] has asked the processor.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod exp;
mod portable;
#[cfg(target_arch = "wasm32")]
mod wasm;

pub(super) use exp::exp;
use portable::Portable;

/// What the products need of a processor. Every function compiles to a few instructions and is inlined.
pub(super) trait Simd: Copy {
    /// Eight `f32`.
    type F: Copy;
    /// Eight words of 32 bits.
    type W: Copy;
    /// As many `f32` as one register holds.
    type V: Copy;

    /// `V`s in eight numbers.
    const VS: usize;

    fn splat(x: f32) -> Self::F;
    /// Four lanes of `low`, then four of `high`.
    fn halves(low: f32, high: f32) -> Self::F;
    fn load(x: &[f32; 8]) -> Self::F;
    fn store(x: Self::F, to: &mut [f32; 8]);
    fn mul(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once or twice.
    fn mul_add(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `a` where it is greater, else `b`: so where either is not a number, `b`.
    fn max(a: Self::F, b: Self::F) -> Self::F;
    fn sum(x: Self::F) -> f32;

    /// Words of four bytes, the first byte lowest.
    fn words(bytes: &[u8; 32]) -> Self::W;
    /// The lower four bits of each byte, then the upper ones, each as a byte of its own.
    fn nibbles(bytes: &[u8; 16]) -> Self::W;
    fn and(w: Self::W, mask: u32) -> Self::W;
    fn or(a: Self::W, b: Self::W) -> Self::W;
    fn shl(w: Self::W, bits: u32) -> Self::W;
    fn shr(w: Self::W, bits: u32) -> Self::W;
    /// The numbers that the words are; all are below 2^31.
    fn to_f32(w: Self::W) -> Self::F;
    /// The words' own bits as `f32`.
    fn as_f32(w: Self::W) -> Self::F;
    /// The numbers' own bits as words.
    fn bits(x: Self::F) -> Self::W;

    fn signed_bytes(bytes: &[u8; 8]) -> Self::F;
    /// Each of eight 16-bit words in the upper half of a 32-bit word.
    fn upper_halves(bytes: &[u8; 16]) -> Self::W;
    fn half_floats(bytes: &[u8; 16]) -> Self::F;
    /// Finite ones: infinities and NaNs may become large numbers.
    fn two_half_floats(bytes: [u8; 4]) -> [f32; 2];

    fn v_zero() -> Self::V;
    /// The `V` at place `i` (below [`Simd::VS`]).
    fn v_load(x: &[f32; 8], i: usize) -> Self::V;
    fn v_mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn v_sum(x: Self::V) -> f32;
}

/// Work that can be written for any [`Simd`]. `run` has to be `#[inline(always)]`, so that it is compiled for the
/// instructions that it uses.
pub(super) trait Kernel {
    fn run<S: Simd>(self);
}

/// Runs `kernel` with the widest instructions that there are here.
pub(super) fn run(kernel: impl Kernel) {
    #[cfg(target_arch = "wasm32")]
    kernel.run::<wasm::Simd128>();
    #[cfg(target_arch = "x86_64")]
    if avx2::is_here() {
        return avx2::run(kernel);
    }
    #[cfg(not(target_arch = "wasm32"))]
    run_portably(kernel);
}

/// Runs `kernel` with nothing but what every processor has.
#[cfg_attr(target_arch = "wasm32", allow(dead_code))]
pub(super) fn run_portably(kernel: impl Kernel) {
    kernel.run::<Portable>();
}
