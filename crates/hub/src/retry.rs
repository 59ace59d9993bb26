//! When a transfer that failed is tried again, and when not.

use crate::HubError;

/// Tries in a row that bring next to nothing, after which one gives up.
pub(crate) const TRIES: u32 = 5;
/// What a try must bring to count as one that got on.
const GOT_ON_BYTES: u64 = 64 << 10;
/// Pause before the second try; each later one doubles it.
const FIRST_PAUSE_S: f64 = 0.5;
/// The same where a server said that it has too much to do, but not for how long.
const FIRST_PAUSE_OF_THE_BUSY_S: f64 = 2.0;
/// A server that wants to be left alone for longer is given up: whoever waits is told so instead.
const LONGEST_WAIT_S: u64 = 60;

/// Exponential back-off with jitter.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    tries: u32,
}

impl Retries {
    /// Counts a try that failed after `brought` bytes. Seconds to pause before the next, or `None` to give up.
    /// `chance`, from 0 to 1, spreads those who failed together.
    pub fn pause_s(&mut self, error: &HubError, brought: u64, chance: f64) -> Option<f64> {
        if !error.may_pass() {
            return None;
        }
        if brought >= GOT_ON_BYTES {
            self.tries = 0;
        }
        self.tries += 1;
        if self.tries >= TRIES {
            return None;
        }
        let busy = matches!(error, HubError::TooManyRequests { .. });
        let first = if busy { FIRST_PAUSE_OF_THE_BUSY_S } else { FIRST_PAUSE_S };
        let pause = first * f64::from(1u32 << (self.tries - 1)) * (0.75 + chance / 2.0);
        match error.asked_to_wait() {
            Some(seconds) if seconds > LONGEST_WAIT_S => None,
            // Never earlier than asked; and not at the very moment at which all the others come.
            Some(seconds) => Some(seconds as f64 + chance * 0.5),
            None => Some(pause),
        }
    }

    pub fn tries(&self) -> u32 {
        self.tries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut() -> HubError {
        HubError::Broken { tries: 1, received: 0 }
    }

    #[test]
    fn pauses_double_and_end() {
        let mut retries = Retries::default();
        let pauses: Vec<f64> = std::iter::from_fn(|| retries.pause_s(&cut(), 0, 0.5)).collect();
        assert_eq!(pauses, [0.5, 1.0, 2.0, 4.0]);
        assert_eq!(retries.tries(), TRIES);
    }

    #[test]
    fn who_gets_on_is_not_given_up() {
        let mut retries = Retries::default();
        for _ in 0..100 {
            assert_eq!(retries.pause_s(&cut(), GOT_ON_BYTES, 0.5), Some(0.5));
        }
    }

    #[test]
    fn a_server_is_left_alone_for_as_long_as_it_asks() {
        let busy = |wait_s| HubError::TooManyRequests { wait_s };
        let pause = |error, chance| Retries::default().pause_s(&error, 0, chance);
        assert_eq!(pause(busy(Some(7)), 0.0), Some(7.0));
        assert!(pause(busy(Some(7)), 1.0) > Some(7.0));
        assert_eq!(pause(busy(Some(LONGEST_WAIT_S + 1)), 0.0), None);
        assert!(pause(busy(None), 0.0) > pause(cut(), 1.0));
        assert_eq!(pause(HubError::Status { status: 503, wait_s: Some(3) }, 0.0), Some(3.0));
        assert_eq!(pause(HubError::Cancelled, 0.0), None);
    }
}
