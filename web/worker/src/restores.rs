//! How often a lost GPU is opened again.

/// Restores within [`SPAN_S`] that are tried; a device that is lost more often will not hold.
const MOST: usize = 2;
const SPAN_S: f64 = 60.0;

/// When the model was put on a new device, because the old one was lost.
#[derive(Debug, Default)]
pub struct Restores(Vec<f64>);

impl Restores {
    /// Whether to try once more, at `now` (seconds); it then counts.
    pub fn allow(&mut self, now: f64) -> bool {
        self.0.retain(|then| now - then < SPAN_S);
        let allowed = self.0.len() < MOST;
        if allowed {
            self.0.push(now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_lost_again_and_again_is_given_up_for_a_while() {
        let mut restores = Restores::default();
        assert!(restores.allow(0.0) && restores.allow(10.0));
        assert!(!restores.allow(20.0) && !restores.allow(59.0));
        assert!(restores.allow(61.0), "the first is long ago by now");
        assert!(!restores.allow(62.0));
    }
}
