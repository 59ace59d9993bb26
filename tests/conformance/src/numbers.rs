//! Test data, and the comparison of results.

/// Reproducible test data (SplitMix64, Steele et al. 2014).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed)
    }

    pub fn word(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 32) as u32
    }

    /// Uniform in (-1, 1).
    pub fn signed(&mut self) -> f32 {
        (self.word() >> 8) as f32 / 8_388_608.0 - 1.0
    }

    pub fn vector(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.signed()).collect()
    }
}

/// Relative L2 distance that f32 sums in another order than the twin's may have: a sum of n products of random signs
/// errs by about 2^-24 sqrt(n) of its size, and the longest sum here has n = 577; the rest is room for division and
/// square root (2.5 units in the last place in WGSL).
pub const F32_SUMS: f64 = 3e-6;

/// Errors unless every row of `width` numbers is within relative L2 distance `tolerance` of what is wanted.
pub fn agree(got: &[f32], wanted: &[f64], width: usize, tolerance: f64) -> Result<(), String> {
    agree_on_scale(got, wanted, wanted, width, tolerance)
}

/// The same, relative to `scale` where that is larger: a sum is known to a fraction of its terms, not of itself, and a
/// row of one number may cancel.
pub fn agree_on_scale(got: &[f32], wanted: &[f64], scale: &[f64], width: usize, tolerance: f64) -> Result<(), String> {
    if got.len() != wanted.len() || got.len() != scale.len() {
        return Err(format!("{} numbers instead of {}", got.len(), wanted.len()));
    }
    let rows = got.chunks(width).zip(wanted.chunks(width)).zip(scale.chunks(width));
    for (row, ((got, wanted), scale)) in rows.enumerate() {
        let difference = got.iter().zip(wanted).map(|(&got, wanted)| (f64::from(got) - wanted).powi(2)).sum::<f64>();
        let square = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
        let size = square(wanted).max(square(scale));
        let relative = (difference / size.max(1e-30)).sqrt();
        if relative.is_nan() || relative > tolerance {
            let worst = (0..got.len())
                .max_by(|&a, &b| {
                    let off = |i: usize| (f64::from(got[i]) - wanted[i]).abs();
                    off(a).total_cmp(&off(b))
                })
                .unwrap_or(0);
            return Err(format!(
                "row {row} is off by {relative:.2e} (allowed {tolerance:.0e}); at column {worst} it is {} instead of {}",
                got[worst], wanted[worst]
            ));
        }
    }
    Ok(())
}
