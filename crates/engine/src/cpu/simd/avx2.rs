//! AVX2 with fused multiplication and addition, on x86-64 processors that have it.

use super::{Kernel, Simd};
use std::arch::x86_64::*;

pub(super) fn is_here() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
}

/// Panics where [`is_here`] says no.
pub(super) fn run(kernel: impl Kernel) {
    #[target_feature(enable = "avx2,fma,f16c")]
    fn with_avx2(kernel: impl Kernel) {
        kernel.run::<Avx2>();
    }
    assert!(is_here(), "the processor has no AVX2");
    // SAFETY: the processor has the instructions.
    unsafe { with_avx2(kernel) }
}

/// Private to this module: [`run`] alone hands it out, after it has asked the processor. That is why every instruction
/// below is safe; and every load and store is of an array that is as long as the register, at any alignment.
#[derive(Clone, Copy)]
struct Avx2;

impl Simd for Avx2 {
    type F = __m256;
    type W = __m256i;
    type V = __m256;

    const VS: usize = 1;

    #[inline(always)]
    fn splat(x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    fn halves(low: f32, high: f32) -> __m256 {
        unsafe { _mm256_set_m128(_mm_set1_ps(high), _mm_set1_ps(low)) }
    }

    #[inline(always)]
    fn load(x: &[f32; 8]) -> __m256 {
        unsafe { _mm256_loadu_ps(x.as_ptr()) }
    }

    #[inline(always)]
    fn store(x: __m256, to: &mut [f32; 8]) {
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), x) }
    }

    #[inline(always)]
    fn mul(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn max(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    fn sum(x: __m256) -> f32 {
        unsafe {
            let fours = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let pairs = _mm_add_ps(fours, _mm_movehl_ps(fours, fours));
            _mm_cvtss_f32(_mm_add_ss(pairs, _mm_movehdup_ps(pairs)))
        }
    }

    #[inline(always)]
    fn words(bytes: &[u8; 32]) -> __m256i {
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn nibbles(bytes: &[u8; 16]) -> __m256i {
        unsafe {
            let both = _mm_loadu_si128(bytes.as_ptr().cast());
            Avx2::and(_mm256_set_m128i(_mm_srli_epi32::<4>(both), both), 0x0f0f_0f0f)
        }
    }

    #[inline(always)]
    fn and(w: __m256i, mask: u32) -> __m256i {
        unsafe { _mm256_and_si256(w, _mm256_set1_epi32(mask.cast_signed())) }
    }

    #[inline(always)]
    fn or(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_or_si256(a, b) }
    }

    #[inline(always)]
    fn shl(w: __m256i, bits: u32) -> __m256i {
        unsafe { _mm256_sll_epi32(w, _mm_cvtsi32_si128(bits.cast_signed())) }
    }

    #[inline(always)]
    fn shr(w: __m256i, bits: u32) -> __m256i {
        unsafe { _mm256_srl_epi32(w, _mm_cvtsi32_si128(bits.cast_signed())) }
    }

    #[inline(always)]
    fn to_f32(w: __m256i) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(w) }
    }

    #[inline(always)]
    fn as_f32(w: __m256i) -> __m256 {
        unsafe { _mm256_castsi256_ps(w) }
    }

    #[inline(always)]
    fn bits(x: __m256) -> __m256i {
        unsafe { _mm256_castps_si256(x) }
    }

    #[inline(always)]
    fn signed_bytes(bytes: &[u8; 8]) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(bytes.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn upper_halves(bytes: &[u8; 16]) -> __m256i {
        unsafe { _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(bytes.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn half_floats(bytes: &[u8; 16]) -> __m256 {
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(bytes.as_ptr().cast())) }
    }

    #[inline(always)]
    fn two_half_floats(bytes: [u8; 4]) -> [f32; 2] {
        unsafe {
            let wide = _mm_cvtph_ps(_mm_cvtsi32_si128(i32::from_le_bytes(bytes)));
            [_mm_cvtss_f32(wide), _mm_cvtss_f32(_mm_movehdup_ps(wide))]
        }
    }

    #[inline(always)]
    fn v_zero() -> __m256 {
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    fn v_load(x: &[f32; 8], _: usize) -> __m256 {
        Avx2::load(x)
    }

    #[inline(always)]
    fn v_mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        Avx2::mul_add(a, b, c)
    }

    #[inline(always)]
    fn v_sum(x: __m256) -> f32 {
        Avx2::sum(x)
    }
}
