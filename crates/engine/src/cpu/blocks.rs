//! The blocks of every number format, 32 numbers at a time (`ggml-common.h`, `ggml-quants.c`).
//!
//! A group of 32 numbers is `scale * part + offset`, the parts being small integers and scale and offset the same for
//! each half of the group, so that a product needs them once: `sum((s q + o) x) = s sum(q x) + o sum(x)`.

mod k_quants;
mod legacy;
mod plain;

pub(super) use k_quants::{Q2K, Q3K, Q4K, Q5K, Q6K};
pub(super) use legacy::{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
pub(super) use plain::{Bf16, F16, F32};

use super::simd::Simd;

/// In which order, and how scaled, a group's parts come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Vector `k` holds numbers `8 k ..`, as they are.
    Plain,
    /// The group is 8 words of 4 bytes. Vector `k` holds byte `k` of every word, and is not shifted down: it is
    /// 256^k times what it stands for, but for the last, which a shift alone cuts out.
    Bytes,
}

impl Order {
    /// Which number of its group is in vector `k`, lane `lane`.
    pub fn number(self, k: usize, lane: usize) -> usize {
        match self {
            Order::Plain => 8 * k + lane,
            Order::Bytes => 4 * lane + k,
        }
    }

    /// What the parts in vector `k` are times too large. A power of two: dividing by it rounds nothing.
    pub const fn factor(self, k: usize) -> f32 {
        match (self, k) {
            (Order::Bytes, 1) => 256.0,
            (Order::Bytes, 2) => 65_536.0,
            _ => 1.0,
        }
    }
}

/// How one format stores numbers.
pub(super) trait Blocks {
    const ORDER: Order;
    /// Bytes of a block.
    const BYTES: usize;
    /// Groups of 32 numbers in a block.
    const GROUPS: usize;
    /// Whether the halves of a group are scaled differently.
    const HALVES: bool = false;
    /// Whether anything is added to the scaled parts.
    const OFFSETS: bool = true;

    /// What is read once for a block.
    type Scales: Copy;

    /// `block` is [`Blocks::BYTES`] long, here and below.
    fn scales<S: Simd>(block: &[u8]) -> Self::Scales;

    /// The parts of group `g`, in their order.
    fn parts<S: Simd>(block: &[u8], g: usize) -> [S::F; 4];

    /// Scales of the two halves of group `g`.
    fn scale(scales: &Self::Scales, g: usize) -> [f32; 2];

    /// What is added to the numbers of the two halves of group `g`.
    fn offset(_: &Self::Scales, _: usize) -> [f32; 2] {
        [0.0; 2]
    }
}

#[inline(always)]
fn array<const N: usize>(bytes: &[u8], from: usize) -> &[u8; N] {
    bytes[from..from + N].try_into().expect("as long as its range")
}

/// Words of unsigned bytes as parts in [`Order::Bytes`].
#[inline(always)]
fn bytes_apart<S: Simd>(w: S::W) -> [S::F; 4] {
    [
        S::to_f32(S::and(w, 0xff)),
        S::to_f32(S::and(w, 0xff00)),
        S::to_f32(S::and(w, 0x00ff_0000)),
        S::to_f32(S::shr(w, 24)),
    ]
}

/// A half float, alone.
#[inline(always)]
fn half_float<S: Simd>(bytes: &[u8], at: usize) -> f32 {
    let &[a, b] = array(bytes, at);
    S::two_half_floats([a, b, 0, 0])[0]
}
