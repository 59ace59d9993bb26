//! The 128-bit instructions of WebAssembly, two registers for eight lanes. The target always has them
//! (`.cargo/config.toml`).

use super::Simd;
use std::arch::wasm32::*;

#[derive(Clone, Copy)]
pub(super) struct Simd128;

#[inline(always)]
fn load16(bytes: &[u8; 16]) -> v128 {
    // SAFETY: sixteen bytes are there, and the instruction asks for no alignment.
    unsafe { v128_load(bytes.as_ptr().cast()) }
}

#[inline(always)]
fn load4(x: &[f32; 4]) -> v128 {
    // SAFETY: sixteen bytes are there, and the instruction asks for no alignment.
    unsafe { v128_load(x.as_ptr().cast()) }
}

#[inline(always)]
fn part<T, const N: usize, const M: usize>(x: &[T; N], from: usize) -> &[T; M] {
    x[from..from + M].try_into().expect("as long as its range")
}

/// Four half floats in the lower halves of words. Their exponents' bias grows from 15 to 127 by a multiplication, which
/// is right for subnormal numbers too; infinities and NaNs are put back.
#[inline(always)]
fn widen(halves: v128) -> v128 {
    let magnitude = v128_and(halves, u32x4_splat(0x7fff));
    let number = f32x4_mul(u32x4_shl(magnitude, 13), f32x4_splat(f32::from_bits((127 + 112) << 23)));
    let not_finite = v128_and(i32x4_gt(magnitude, i32x4_splat(0x7bff)), u32x4_splat(0x7f80_0000));
    let sign = u32x4_shl(v128_and(halves, u32x4_splat(0x8000)), 16);
    v128_or(v128_or(number, not_finite), sign)
}

impl Simd for Simd128 {
    type F = [v128; 2];
    type W = [v128; 2];
    type V = v128;

    const VS: usize = 2;

    #[inline(always)]
    fn splat(x: f32) -> [v128; 2] {
        [f32x4_splat(x); 2]
    }

    #[inline(always)]
    fn halves(low: f32, high: f32) -> [v128; 2] {
        [f32x4_splat(low), f32x4_splat(high)]
    }

    #[inline(always)]
    fn load(x: &[f32; 8]) -> [v128; 2] {
        [load4(part(x, 0)), load4(part(x, 4))]
    }

    #[inline(always)]
    fn store(x: [v128; 2], to: &mut [f32; 8]) {
        let to = to.as_mut_ptr();
        // SAFETY: eight numbers are there, and the instruction asks for no alignment.
        unsafe {
            v128_store(to.cast(), x[0]);
            v128_store(to.add(4).cast(), x[1]);
        }
    }

    #[inline(always)]
    fn mul(a: [v128; 2], b: [v128; 2]) -> [v128; 2] {
        [f32x4_mul(a[0], b[0]), f32x4_mul(a[1], b[1])]
    }

    #[inline(always)]
    fn mul_add(a: [v128; 2], b: [v128; 2], c: [v128; 2]) -> [v128; 2] {
        [Simd128::v_mul_add(a[0], b[0], c[0]), Simd128::v_mul_add(a[1], b[1], c[1])]
    }

    #[inline(always)]
    fn max(a: [v128; 2], b: [v128; 2]) -> [v128; 2] {
        [f32x4_pmax(b[0], a[0]), f32x4_pmax(b[1], a[1])]
    }

    #[inline(always)]
    fn sum(x: [v128; 2]) -> f32 {
        Simd128::v_sum(f32x4_add(x[0], x[1]))
    }

    #[inline(always)]
    fn words(bytes: &[u8; 32]) -> [v128; 2] {
        [load16(part(bytes, 0)), load16(part(bytes, 16))]
    }

    #[inline(always)]
    fn nibbles(bytes: &[u8; 16]) -> [v128; 2] {
        let (both, mask) = (load16(bytes), u32x4_splat(0x0f0f_0f0f));
        [v128_and(both, mask), v128_and(u32x4_shr(both, 4), mask)]
    }

    #[inline(always)]
    fn and(w: [v128; 2], mask: u32) -> [v128; 2] {
        w.map(|w| v128_and(w, u32x4_splat(mask)))
    }

    #[inline(always)]
    fn or(a: [v128; 2], b: [v128; 2]) -> [v128; 2] {
        [v128_or(a[0], b[0]), v128_or(a[1], b[1])]
    }

    #[inline(always)]
    fn shl(w: [v128; 2], bits: u32) -> [v128; 2] {
        w.map(|w| u32x4_shl(w, bits))
    }

    #[inline(always)]
    fn shr(w: [v128; 2], bits: u32) -> [v128; 2] {
        w.map(|w| u32x4_shr(w, bits))
    }

    #[inline(always)]
    fn to_f32(w: [v128; 2]) -> [v128; 2] {
        // The conversion of signed words is one instruction on every processor.
        w.map(|w| f32x4_convert_i32x4(w))
    }

    #[inline(always)]
    fn as_f32(w: [v128; 2]) -> [v128; 2] {
        w
    }

    #[inline(always)]
    fn bits(x: [v128; 2]) -> [v128; 2] {
        x
    }

    #[inline(always)]
    fn signed_bytes(bytes: &[u8; 8]) -> [v128; 2] {
        // SAFETY: eight bytes are there, and the instruction asks for no alignment.
        let words = unsafe { i16x8_load_extend_i8x8(bytes.as_ptr().cast()) };
        [i32x4_extend_low_i16x8(words), i32x4_extend_high_i16x8(words)].map(|w| f32x4_convert_i32x4(w))
    }

    #[inline(always)]
    fn upper_halves(bytes: &[u8; 16]) -> [v128; 2] {
        let halves = load16(bytes);
        [u32x4_extend_low_u16x8(halves), u32x4_extend_high_u16x8(halves)].map(|w| u32x4_shl(w, 16))
    }

    #[inline(always)]
    fn half_floats(bytes: &[u8; 16]) -> [v128; 2] {
        let halves = load16(bytes);
        [u32x4_extend_low_u16x8(halves), u32x4_extend_high_u16x8(halves)].map(widen)
    }

    #[inline(always)]
    fn two_half_floats(bytes: [u8; 4]) -> [f32; 2] {
        // As `widen`, but that the sign comes along, and its copies in the exponent's place are cut off.
        let signed = i32x4_shl(i32x4_extend_low_i16x8(u32x4_splat(u32::from_le_bytes(bytes))), 13);
        let magnitude = v128_and(signed, u32x4_splat(0x8fff_e000));
        let wide = f32x4_mul(magnitude, f32x4_splat(f32::from_bits((127 + 112) << 23)));
        [f32x4_extract_lane::<0>(wide), f32x4_extract_lane::<1>(wide)]
    }

    #[inline(always)]
    fn v_zero() -> v128 {
        f32x4_splat(0.0)
    }

    #[inline(always)]
    fn v_load(x: &[f32; 8], i: usize) -> v128 {
        load4(part(x, 4 * i))
    }

    #[inline(always)]
    fn v_mul_add(a: v128, b: v128, c: v128) -> v128 {
        f32x4_add(f32x4_mul(a, b), c)
    }

    #[inline(always)]
    fn v_sum(x: v128) -> f32 {
        let pairs = f32x4_add(x, i32x4_shuffle::<2, 3, 0, 1>(x, x));
        f32x4_extract_lane::<0>(pairs) + f32x4_extract_lane::<1>(pairs)
    }
}
