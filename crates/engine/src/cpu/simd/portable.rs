//! Plain arrays, which the compiler turns into whatever vector instructions it may assume.

use super::Simd;
use half::f16;
use std::array::from_fn;

#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Simd for Portable {
    type F = [f32; 8];
    type W = [u32; 8];
    type V = [f32; 4];

    const VS: usize = 2;

    #[inline(always)]
    fn splat(x: f32) -> [f32; 8] {
        [x; 8]
    }

    #[inline(always)]
    fn halves(low: f32, high: f32) -> [f32; 8] {
        [low, low, low, low, high, high, high, high]
    }

    #[inline(always)]
    fn load(x: &[f32; 8]) -> [f32; 8] {
        *x
    }

    #[inline(always)]
    fn store(x: [f32; 8], to: &mut [f32; 8]) {
        *to = x;
    }

    #[inline(always)]
    fn mul(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn mul_add(a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn max(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn sum(x: [f32; 8]) -> f32 {
        Portable::v_sum(from_fn(|i| x[i] + x[i + 4]))
    }

    #[inline(always)]
    fn words(bytes: &[u8; 32]) -> [u32; 8] {
        from_fn(|i| u32::from_le_bytes(from_fn(|k| bytes[4 * i + k])))
    }

    #[inline(always)]
    fn nibbles(bytes: &[u8; 16]) -> [u32; 8] {
        let word = |i: usize| u32::from_le_bytes(from_fn(|k| bytes[4 * i + k]));
        from_fn(|i| if i < 4 { word(i) & 0x0f0f_0f0f } else { word(i - 4) >> 4 & 0x0f0f_0f0f })
    }

    #[inline(always)]
    fn and(w: [u32; 8], mask: u32) -> [u32; 8] {
        w.map(|w| w & mask)
    }

    #[inline(always)]
    fn or(a: [u32; 8], b: [u32; 8]) -> [u32; 8] {
        from_fn(|i| a[i] | b[i])
    }

    #[inline(always)]
    fn shl(w: [u32; 8], bits: u32) -> [u32; 8] {
        w.map(|w| w << bits)
    }

    #[inline(always)]
    fn shr(w: [u32; 8], bits: u32) -> [u32; 8] {
        w.map(|w| w >> bits)
    }

    #[inline(always)]
    fn to_f32(w: [u32; 8]) -> [f32; 8] {
        w.map(|w| w as i32 as f32)
    }

    #[inline(always)]
    fn as_f32(w: [u32; 8]) -> [f32; 8] {
        w.map(f32::from_bits)
    }

    #[inline(always)]
    fn bits(x: [f32; 8]) -> [u32; 8] {
        x.map(f32::to_bits)
    }

    #[inline(always)]
    fn signed_bytes(bytes: &[u8; 8]) -> [f32; 8] {
        bytes.map(|byte| f32::from(byte as i8))
    }

    #[inline(always)]
    fn upper_halves(bytes: &[u8; 16]) -> [u32; 8] {
        from_fn(|i| u32::from_le_bytes([0, 0, bytes[2 * i], bytes[2 * i + 1]]))
    }

    #[inline(always)]
    fn half_floats(bytes: &[u8; 16]) -> [f32; 8] {
        from_fn(|i| f16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]).to_f32())
    }

    #[inline(always)]
    fn two_half_floats([a, b, c, d]: [u8; 4]) -> [f32; 2] {
        [f16::from_le_bytes([a, b]).to_f32(), f16::from_le_bytes([c, d]).to_f32()]
    }

    #[inline(always)]
    fn v_zero() -> [f32; 4] {
        [0.0; 4]
    }

    #[inline(always)]
    fn v_load(x: &[f32; 8], i: usize) -> [f32; 4] {
        from_fn(|lane| x[4 * i + lane])
    }

    #[inline(always)]
    fn v_mul_add(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn v_sum(x: [f32; 4]) -> f32 {
        (x[0] + x[2]) + (x[1] + x[3])
    }
}
