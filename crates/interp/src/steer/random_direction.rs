//! Random directions: the control of every steering vector.

/// A direction drawn evenly from the unit sphere, `[width]`.
///
/// Gaussian numbers, normalised (Muller 1959). They come from splitmix64 (Steele, Lea and Flood 2014) by Box and
/// Muller's transform. Number `i` depends on the seed and `i` alone, and the logarithm and the cosine are libm's rather
/// than the platform's: every machine, and every browser, gets the same bits.
pub fn random_direction(seed: u64, width: usize) -> Vec<f32> {
    let gaussian: Vec<f64> = (0..width as u64).map(|i| gaussian(seed, i)).collect();
    let norm = gaussian.iter().map(|x| x * x).sum::<f64>().sqrt();
    gaussian.iter().map(|x| (x / norm) as f32).collect()
}

/// Number `i` of the seed's standard Gaussian sequence.
fn gaussian(seed: u64, i: u64) -> f64 {
    let radius = libm::sqrt(-2.0 * libm::log(uniform(seed, 2 * i)));
    radius * libm::cos(2.0 * std::f64::consts::PI * uniform(seed, 2 * i + 1))
}

/// Number `i` of the seed's sequence of uniform numbers, above 0 and at most 1 (a logarithm is taken of it).
fn uniform(seed: u64, i: u64) -> f64 {
    const STEPS: f64 = (1u64 << 53) as f64;
    ((splitmix64(seed, i) >> 11) + 1) as f64 / STEPS
}

/// Number `i` of the sequence that splitmix64 gives from `seed`.
pub(crate) fn splitmix64(seed: u64, i: u64) -> u64 {
    const GOLDEN_RATIO: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut z = seed.wrapping_add(GOLDEN_RATIO.wrapping_mul(i.wrapping_add(1)));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    }

    #[test]
    fn the_generator_is_splitmix64() {
        // The first outputs for the seed 1234567, as published with the algorithm's reference code.
        let expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431];
        assert_eq!([0, 1, 2, 3].map(|i| splitmix64(1234567, i)), expected);
    }

    #[test]
    fn a_seed_gives_the_same_bits_everywhere() {
        // The same recipe in Python gives these; a browser or another processor must agree.
        let bits: Vec<u32> = random_direction(1, 576)[..4].iter().map(|x| x.to_bits()).collect();
        assert_eq!(bits, [3130824803, 3156077885, 999218518, 3165610038]);
    }

    #[test]
    fn directions_have_unit_length_and_no_preferred_one() {
        let directions: Vec<Vec<f32>> = (0..64).map(|seed| random_direction(seed, 577)).collect();
        for (n, a) in directions.iter().enumerate() {
            assert!((dot(a, a) - 1.0).abs() < 1e-6);
            // Between independent directions the cosine has a standard deviation of 1 / sqrt(577) = 0.042.
            for b in &directions[..n] {
                assert!(dot(a, b).abs() < 5.0 * 0.042, "{}", dot(a, b));
            }
        }
    }

    #[test]
    fn the_numbers_are_gaussian() {
        let numbers: Vec<f64> = (0..100_000).map(|i| gaussian(3, i)).collect();
        let moment = |k: i32| numbers.iter().map(|x| x.powi(k)).sum::<f64>() / numbers.len() as f64;
        assert!(moment(1).abs() < 0.015, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.025, "variance {}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.2, "fourth moment {}", moment(4));
    }
}
