//! How many written tokens come back from a GPU at once.
//!
//! A mapped buffer arrives a while after the device has filled it: natively at once, in a browser after messages between
//! processes. Two readings are on their way at a time. If the device takes S a token and a result comes L after it is
//! ready, a token's period with n tokens a reading is the greater of S and (n S + L) / 2n: the device never waits where
//! n >= L / S. More than that would only make a slider act later.

use crate::EngineError;
use crate::engine::Engine;

/// Readings on their way while tokens are written: while one is computed, the next is encoded.
pub(crate) const IN_FLIGHT: usize = 2;

/// Tokens that come back together at most.
pub const MOST_STEPS_A_READING: usize = 8;

/// Times that the way back is measured: the shortest counts, since whatever disturbs it makes it longer.
const TRIES: usize = 3;

impl Engine {
    /// Has as many tokens come back together as this browser's way back asks for, and returns the seconds that way takes
    /// (`None` on the CPU). `period`: seconds a token while they come back one by one. `seconds` is a clock.
    pub async fn fit_readings(&mut self, period: f64, seconds: impl Fn() -> f64) -> Result<Option<f64>, EngineError> {
        let Some(gpu) = self.gpu().cloned() else { return Ok(None) };
        let mut way_back = f64::INFINITY;
        for _ in 0..TRIES {
            let begun = seconds();
            gpu.round_trip().await?;
            way_back = way_back.min(seconds() - begun);
        }
        self.read_together(steps_a_reading(period, way_back));
        Ok(Some(way_back))
    }
}

/// The tokens a reading after which the device does not wait, from the period of a token when they come one by one:
/// that is S where S >= L, and (S + L) / 2 otherwise, so that 2 period - L is at least S, and S itself where it matters.
fn steps_a_reading(period: f64, way_back: f64) -> usize {
    let step = 2.0 * period - way_back;
    let most = MOST_STEPS_A_READING as f64;
    if !way_back.is_finite() || way_back <= 0.0 || !step.is_finite() {
        return 1;
    }
    // A period shorter than half the way back is a clock too coarse for it.
    if step * most <= way_back { MOST_STEPS_A_READING } else { (way_back / step).ceil().clamp(1.0, most) as usize }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds a token when `n` come back together and two readings are on their way.
    fn period(step: f64, way_back: f64, n: usize) -> f64 {
        let n = n as f64;
        step.max((n * step + way_back) / (IN_FLIGHT as f64 * n))
    }

    #[test]
    fn the_device_never_waits_and_no_more_come_together_than_that_takes() {
        for (step, way_back) in [(1.0, 0.1), (1.0, 0.9), (1.0, 1.5), (1.0, 3.0), (1.0, 6.2), (0.25, 0.8)] {
            let n = steps_a_reading(period(step, way_back, 1), way_back);
            assert!(
                period(step, way_back, n) <= step * (1.0 + 1e-9),
                "{step} {way_back}: {n} a reading leave it waiting"
            );
            assert!(n == 1 || period(step, way_back, n - 1) > step, "{step} {way_back}: fewer than {n} would do");
        }
    }

    #[test]
    fn a_way_back_beyond_all_bounds_and_a_clock_that_stands_still_have_an_answer() {
        assert_eq!(steps_a_reading(50.0, 99.0), MOST_STEPS_A_READING);
        assert_eq!(steps_a_reading(0.0, 0.1), MOST_STEPS_A_READING);
        assert_eq!(steps_a_reading(0.0, 0.0), 1);
        assert_eq!(steps_a_reading(1.0, f64::INFINITY), 1);
    }
}
