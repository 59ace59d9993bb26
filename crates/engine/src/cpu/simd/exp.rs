//! The exponential function, eight numbers at a time.

use super::Simd;
use std::f64::consts::LN_2;

/// Below this, what comes out is as this one's: e^-87, next to nothing beside 1.
const LEAST: f32 = -87.0;

/// Adding it to a number below 2^22 leaves no bits after the point, and 127 more in the lowest bits.
const ROUND: f32 = 12_582_912.0 + 127.0;

/// The logarithm of 2 in two parts: the first has nine bits, so that its small multiples are exact (Cody and Waite 1980).
const LN_2_HIGH: f32 = 0.693_359_375;
const LN_2_LOW: f32 = (LN_2 - 0.693_359_375) as f32;

/// `e^x` for `x` of at most 0, to within two units in the last place.
///
/// `x = n ln 2 + r` with `|r|` of at most `ln(2) / 2`. `e^r` is Taylor's series to its seventh power, whose rest is below
/// `r^8 / 8! = 6e-9`; `2^n` is made of its bits.
#[inline(always)]
pub(in crate::cpu) fn exp<S: Simd>(x: S::F) -> S::F {
    let x = S::max(S::splat(LEAST), x);
    let shifted = S::mul_add(x, S::splat(std::f32::consts::LOG2_E), S::splat(ROUND));
    let n = S::mul_add(shifted, S::splat(1.0), S::splat(-ROUND));
    let r = S::mul_add(n, S::splat(-LN_2_LOW), S::mul_add(n, S::splat(-LN_2_HIGH), x));
    let mut series = S::splat(1.0 / 5040.0);
    for term in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        series = S::mul_add(series, r, S::splat(term));
    }
    // The exponent's bits begin at the 23rd.
    S::mul(series, S::as_f32(S::shl(S::bits(shifted), 23)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::{Kernel, run, run_portably};

    struct Exp<'a>(&'a mut [[f32; 8]]);

    impl Kernel for Exp<'_> {
        #[inline(always)]
        fn run<S: Simd>(self) {
            for eight in self.0 {
                S::store(exp::<S>(S::load(eight)), eight);
            }
        }
    }

    #[test]
    fn powers_of_e_are_exact_to_two_units_in_the_last_place() {
        let x: Vec<[f32; 8]> = (0..20_000).map(|i| std::array::from_fn(|k| -0.00054 * (8 * i + k) as f32)).collect();
        let (mut widest, mut portable) = (x.clone(), x.clone());
        run(Exp(&mut widest));
        run_portably(Exp(&mut portable));
        for (at, &x) in x.as_flattened().iter().enumerate() {
            let exact = f64::from(x).exp();
            for found in [widest.as_flattened()[at], portable.as_flattened()[at]] {
                let off = (f64::from(found) - exact).abs() / exact;
                assert!(off <= 2.0 * f64::from(f32::EPSILON), "e^{x} is {found}, off by {off:e}");
            }
        }
    }

    #[test]
    fn what_is_far_below_is_next_to_nothing_and_what_is_no_number_stays_so() {
        let mut x = [[0.0, f32::NEG_INFINITY, -1e30, f32::NAN, -88.0, -1e-30, -f32::EPSILON, -87.0]];
        run(Exp(&mut x));
        let [zero, rest @ ..] = x[0];
        assert_eq!(zero, 1.0);
        assert!(rest[0] < 1e-37 && rest[1] < 1e-37 && rest[3] < 1e-37 && rest[6] < 1e-37, "{rest:?}");
        assert!(rest[2].is_nan() && rest[4] == 1.0, "{rest:?}");
    }
}
