//! Blocks of 32 numbers with a scale each.

use super::{Blocks, Order, array, bytes_apart, half_float};
use crate::cpu::simd::Simd;
use std::array::from_fn;

pub(in crate::cpu) struct Q4_0;
pub(in crate::cpu) struct Q4_1;
pub(in crate::cpu) struct Q5_0;
pub(in crate::cpu) struct Q5_1;
pub(in crate::cpu) struct Q8_0;

/// `d * q + offset`.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Affine {
    d: f32,
    offset: f32,
}

macro_rules! affine {
    () => {
        const GROUPS: usize = 1;
        type Scales = Affine;

        #[inline(always)]
        fn scale(scales: &Affine, _: usize) -> [f32; 2] {
            [scales.d; 2]
        }

        #[inline(always)]
        fn offset(scales: &Affine, _: usize) -> [f32; 2] {
            [scales.offset; 2]
        }
    };
}

/// A block that begins with `d` alone: `d * (q - zero)`.
#[inline(always)]
fn centred<S: Simd>(block: &[u8], zero: f32) -> Affine {
    let d = half_float::<S>(block, 0);
    Affine { d, offset: -zero * d }
}

/// A block that begins with `d` and `m`: `d * q + m`.
#[inline(always)]
fn shifted<S: Simd>(block: &[u8]) -> Affine {
    let [d, offset] = S::two_half_floats(*array(block, 0));
    Affine { d, offset }
}

impl Blocks for Q4_0 {
    const ORDER: Order = Order::Bytes;
    const BYTES: usize = 18;
    affine!();

    #[inline(always)]
    fn scales<S: Simd>(block: &[u8]) -> Affine {
        centred::<S>(block, 8.0)
    }

    #[inline(always)]
    fn parts<S: Simd>(block: &[u8], _: usize) -> [S::F; 4] {
        bytes_apart::<S>(S::nibbles(array(block, 2)))
    }
}

impl Blocks for Q4_1 {
    const ORDER: Order = Order::Bytes;
    const BYTES: usize = 20;
    affine!();

    #[inline(always)]
    fn scales<S: Simd>(block: &[u8]) -> Affine {
        shifted::<S>(block)
    }

    #[inline(always)]
    fn parts<S: Simd>(block: &[u8], _: usize) -> [S::F; 4] {
        bytes_apart::<S>(S::nibbles(array(block, 4)))
    }
}

/// For each byte, its bits as the fifth bits of eight bytes.
static FIFTH_BITS: [[u8; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut at = 0;
    while at < 8 * table.len() {
        table[at / 8][at % 8] = ((at / 8 >> (at % 8)) as u8 & 1) << 4;
        at += 1;
    }
    table
};

/// Numbers of five bits: the fifth of each in the four bytes from `high` on, the others in the sixteen from `low` on.
#[inline(always)]
fn five_bits<S: Simd>(block: &[u8], high: usize, low: usize) -> [S::F; 4] {
    let mut fifth = [0; 32];
    for (eight, bits) in fifth.chunks_exact_mut(8).zip(array::<4>(block, high)) {
        eight.copy_from_slice(&FIFTH_BITS[usize::from(*bits)]);
    }
    bytes_apart::<S>(S::or(S::nibbles(array(block, low)), S::words(&fifth)))
}

impl Blocks for Q5_0 {
    const ORDER: Order = Order::Bytes;
    const BYTES: usize = 22;
    affine!();

    #[inline(always)]
    fn scales<S: Simd>(block: &[u8]) -> Affine {
        centred::<S>(block, 16.0)
    }

    #[inline(always)]
    fn parts<S: Simd>(block: &[u8], _: usize) -> [S::F; 4] {
        five_bits::<S>(block, 2, 6)
    }
}

impl Blocks for Q5_1 {
    const ORDER: Order = Order::Bytes;
    const BYTES: usize = 24;
    affine!();

    #[inline(always)]
    fn scales<S: Simd>(block: &[u8]) -> Affine {
        shifted::<S>(block)
    }

    #[inline(always)]
    fn parts<S: Simd>(block: &[u8], _: usize) -> [S::F; 4] {
        five_bits::<S>(block, 4, 8)
    }
}

impl Blocks for Q8_0 {
    const ORDER: Order = Order::Plain;
    const BYTES: usize = 34;
    const OFFSETS: bool = false;
    affine!();

    #[inline(always)]
    fn scales<S: Simd>(block: &[u8]) -> Affine {
        centred::<S>(block, 0.0)
    }

    #[inline(always)]
    fn parts<S: Simd>(block: &[u8], _: usize) -> [S::F; 4] {
        from_fn(|k| S::signed_bytes(array(block, 2 + 8 * k)))
    }
}
