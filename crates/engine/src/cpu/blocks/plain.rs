//! Numbers that are not quantised.

use super::{Blocks, Order, array};
use crate::cpu::simd::Simd;
use std::array::from_fn;

pub(in crate::cpu) struct F32;
pub(in crate::cpu) struct F16;
pub(in crate::cpu) struct Bf16;

/// Blocks of 32 numbers, although these formats have none: a row's last may be cut short.
macro_rules! plain {
    ($format:ident, $bytes:literal, |$simd:ident, $eight:ident| $parts:expr) => {
        impl Blocks for $format {
            const ORDER: Order = Order::Plain;
            const BYTES: usize = 32 * $bytes;
            const GROUPS: usize = 1;
            const OFFSETS: bool = false;
            type Scales = ();

            #[inline(always)]
            fn scales<S: Simd>(_: &[u8]) {}

            #[inline(always)]
            fn parts<$simd: Simd>(block: &[u8], _: usize) -> [$simd::F; 4] {
                from_fn(|k| {
                    let $eight = array(block, 8 * $bytes * k);
                    $parts
                })
            }

            #[inline(always)]
            fn scale(_: &(), _: usize) -> [f32; 2] {
                [1.0; 2]
            }
        }
    };
}

plain!(F32, 4, |S, eight| S::as_f32(S::words(eight)));
plain!(F16, 2, |S, eight| S::half_floats(eight));
plain!(Bf16, 2, |S, eight| S::as_f32(S::upper_halves(eight)));
