//! Super-blocks of 256 numbers, whose groups have scales that are quantised themselves.

use super::{Blocks, Order, array, bytes_apart, half_float};
use crate::cpu::simd::Simd;
use std::array::from_fn;

pub(in crate::cpu) struct Q2K;
pub(in crate::cpu) struct Q3K;
pub(in crate::cpu) struct Q4K;
pub(in crate::cpu) struct Q5K;
pub(in crate::cpu) struct Q6K;

/// Scale and offset of each run of `256 / N` numbers.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Runs<const N: usize> {
    scales: [f32; N],
    offsets: [f32; N],
}

macro_rules! by_sixteens {
    () => {
        const ORDER: Order = Order::Bytes;
        const GROUPS: usize = 8;
        const HALVES: bool = true;
        type Scales = Runs<16>;

        #[inline(always)]
        fn scale(runs: &Runs<16>, g: usize) -> [f32; 2] {
            [runs.scales[2 * g], runs.scales[2 * g + 1]]
        }

        #[inline(always)]
        fn offset(runs: &Runs<16>, g: usize) -> [f32; 2] {
            [runs.offsets[2 * g], runs.offsets[2 * g + 1]]
        }
    };
}

macro_rules! by_thirty_twos {
    () => {
        const ORDER: Order = Order::Bytes;
        const GROUPS: usize = 8;
        type Scales = Runs<8>;

        #[inline(always)]
        fn scale(runs: &Runs<8>, g: usize) -> [f32; 2] {
            [runs.scales[g]; 2]
        }

        #[inline(always)]
        fn offset(runs: &Runs<8>, g: usize) -> [f32; 2] {
            [runs.offsets[g]; 2]
        }
    };
}

/// Each byte's bits from `bit` on, lowest first. What lies above them is still there.
#[inline(always)]
fn from_bit<S: Simd>(bytes: &[u8; 32], bit: usize) -> S::W {
    S::shr(S::words(bytes), bit as u32)
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*array(bytes, at))
}

impl Blocks for Q2K {
    const BYTES: usize = 84;
    by_sixteens!();

    #[inline(always)]
    fn scales<S: Simd>(block: &[u8]) -> Runs<16> {
        let [d, dmin] = S::two_half_floats(*array(block, 80));
        let packed: &[u8; 16] = array(block, 0);
        Runs {
            scales: from_fn(|i| d * f32::from(packed[i] & 15)),
            offsets: from_fn(|i| -dmin * f32::from(packed[i] >> 4)),
        }
    }

    #[inline(always)]
    fn parts<S: Simd>(block: &[u8], g: usize) -> [S::F; 4] {
        let two_bits = from_bit::<S>(array(block, 16 + 32 * (g / 4)), 2 * (g % 4));
        bytes_apart::<S>(S::and(two_bits, 0x0303_0303))
    }
}

impl Blocks for Q3K {
    const BYTES: usize = 110;
    by_sixteens!();

    #[inline(always)]
    fn scales<S: Simd>(block: &[u8]) -> Runs<16> {
        let d = half_float::<S>(block, 108);
        // Sixteen scales of six bits: four each in two words of nibbles, their upper two bits in a third word.
        let [a, b, upper] = [96, 100, 104].map(|at| word(block, at));
        let two = |shift: u32| (upper >> shift & 0x0303_0303) << 4;
        let fours = [
            a & 0x0f0f_0f0f | two(0),
            b & 0x0f0f_0f0f | two(2),
            a >> 4 & 0x0f0f_0f0f | two(4),
            b >> 4 & 0x0f0f_0f0f | two(6),
        ]
        .map(u32::to_le_bytes);
        let scales = from_fn(|i| d * (f32::from(fours[i / 4][i % 4]) - 32.0));
        Runs { scales, offsets: scales.map(|scale| -4.0 * scale) }
    }

    #[inline(always)]
    fn parts<S: Simd>(block: &[u8], g: usize) -> [S::F; 4] {
        let two_bits = from_bit::<S>(array(block, 32 + 32 * (g / 4)), 2 * (g % 4));
        let third = S::and(from_bit::<S>(array(block, 0), g), 0x0101_0101);
        bytes_apart::<S>(S::or(S::and(two_bits, 0x0303_0303), S::shl(third, 2)))
    }
}

/// Scales and offsets of Q4_K and Q5_K, packed as six bits each in twelve bytes after `d` and `dmin`.
#[inline(always)]
fn packed_in_six_bits<S: Simd>(block: &[u8]) -> Runs<8> {
    let [d, dmin] = S::two_half_floats(*array(block, 0));
    let [a, b, c] = [4, 8, 12].map(|at| word(block, at));
    let scales = [a & 0x3f3f_3f3f, c & 0x0f0f_0f0f | a >> 2 & 0x3030_3030].map(u32::to_le_bytes);
    let minima = [b & 0x3f3f_3f3f, c >> 4 & 0x0f0f_0f0f | b >> 2 & 0x3030_3030].map(u32::to_le_bytes);
    Runs {
        scales: from_fn(|i| d * f32::from(scales[i / 4][i % 4])),
        offsets: from_fn(|i| -dmin * f32::from(minima[i / 4][i % 4])),
    }
}

/// The lower nibbles of 32 bytes are an even group, the upper ones the odd group after it.
#[inline(always)]
fn nibbles_of_group<S: Simd>(bytes: &[u8], g: usize) -> S::W {
    S::and(from_bit::<S>(array(bytes, 32 * (g / 2)), 4 * (g % 2)), 0x0f0f_0f0f)
}

impl Blocks for Q4K {
    const BYTES: usize = 144;
    by_thirty_twos!();

    #[inline(always)]
    fn scales<S: Simd>(block: &[u8]) -> Runs<8> {
        packed_in_six_bits::<S>(block)
    }

    #[inline(always)]
    fn parts<S: Simd>(block: &[u8], g: usize) -> [S::F; 4] {
        bytes_apart::<S>(nibbles_of_group::<S>(&block[16..], g))
    }
}

impl Blocks for Q5K {
    const BYTES: usize = 176;
    by_thirty_twos!();

    #[inline(always)]
    fn scales<S: Simd>(block: &[u8]) -> Runs<8> {
        packed_in_six_bits::<S>(block)
    }

    #[inline(always)]
    fn parts<S: Simd>(block: &[u8], g: usize) -> [S::F; 4] {
        let fifth = S::and(from_bit::<S>(array(block, 16), g), 0x0101_0101);
        bytes_apart::<S>(S::or(nibbles_of_group::<S>(&block[48..], g), S::shl(fifth, 4)))
    }
}

impl Blocks for Q6K {
    const BYTES: usize = 210;
    by_sixteens!();

    #[inline(always)]
    fn scales<S: Simd>(block: &[u8]) -> Runs<16> {
        let d = half_float::<S>(block, 208);
        let scales = array::<16>(block, 192).map(|scale| d * f32::from(scale as i8));
        Runs { scales, offsets: scales.map(|scale| -32.0 * scale) }
    }

    #[inline(always)]
    fn parts<S: Simd>(block: &[u8], g: usize) -> [S::F; 4] {
        // Each half of the super-block has 64 bytes of nibbles, and 32 bytes of the upper two bits of its four groups.
        let (half, g) = (g / 4, g % 4);
        let nibbles = from_bit::<S>(array(block, 64 * half + 32 * (g % 2)), 4 * (g / 2));
        let upper = S::and(from_bit::<S>(array(block, 128 + 32 * half), 2 * g), 0x0303_0303);
        bytes_apart::<S>(S::or(S::and(nibbles, 0x0f0f_0f0f), S::shl(upper, 4)))
    }
}
