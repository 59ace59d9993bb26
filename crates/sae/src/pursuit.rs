//! Matching pursuit.

use crate::products::{dot, products};
use crate::{Activation, Features, Sae};

impl Sae {
    /// The features of one prepared activation, `[d_in]` (Costa et al. 2025, "MP-SAE"; what ends the pursuit, as in
    /// SAELens).
    pub(crate) fn pursue(&self, x: &[f32]) -> Features {
        let Activation::MatchingPursuit { residual_threshold, max_iterations, stop_on_duplicate_support } =
            self.activation
        else {
            unreachable!("it is asked for by SAEs that pursue")
        };
        let mut rest = x.to_vec();
        let mut features = Features::new();
        for _ in 0..max_iterations {
            let along = products(&rest, &self.w_dec, self.d_in);
            // Of equal ones the first, as `max` of what is not negative.
            let best = along.iter().enumerate().fold((0, 0.0), |best, (i, &h)| if h > best.1 { (i, h) } else { best });
            let (feature, value) = best;
            let mut is_new = false;
            if value > 0.0 {
                match features.iter_mut().find(|(i, _)| *i as usize == feature) {
                    Some((_, sum)) => *sum += value,
                    None => {
                        features.push((feature as u32, value));
                        is_new = true;
                    }
                }
                rest.iter_mut().zip(self.direction(feature)).for_each(|(rest, d)| *rest -= value * d);
            }
            let duplicate = stop_on_duplicate_support && !is_new;
            let small = residual_threshold > 0.0 && dot(&rest, &rest).sqrt() < residual_threshold;
            // Where nothing lies along any direction, no later step finds anything either.
            if duplicate || small || value <= 0.0 {
                break;
            }
        }
        features.sort_unstable_by_key(|&(feature, _)| feature);
        features
    }
}
