//! Factors that files keep apart, folded into the weights.

use crate::{Activation, Sae};

impl Sae {
    /// The same SAE of activations as the model has them, where this one is of activations times `scale` (what
    /// `expected_average_only_in` was trained on: `sqrt(d_in)` over their mean length). The decoder's bias is divided as
    /// its directions are. Matching pursuit reads along the directions that it writes: they stay, and its features are as
    /// many times smaller.
    pub fn fold_input_scale(&mut self, scale: f32) {
        self.b_dec.iter_mut().for_each(|b| *b /= scale);
        if let Activation::MatchingPursuit { residual_threshold, .. } = &mut self.activation {
            *residual_threshold /= scale;
            return;
        }
        self.w_enc.iter_mut().for_each(|w| *w *= scale);
        self.w_dec.iter_mut().for_each(|w| *w /= scale);
    }

    /// Directions of length 1, their lengths in the encoder: features become as many times larger, and whatever compares
    /// them with each other weighs them by what they write. Matching pursuit stays as it is.
    pub fn fold_direction_lengths(&mut self) {
        if matches!(self.activation, Activation::MatchingPursuit { .. }) {
            return;
        }
        let (d_in, d_out) = (self.d_in, self.d_out());
        for feature in 0..self.d_sae {
            let direction = &mut self.w_dec[feature * d_out..(feature + 1) * d_out];
            let length = direction.iter().map(|&d| f64::from(d).powi(2)).sum::<f64>().sqrt() as f32;
            // SAELens's bound: a direction of length 0 stays one, and its feature silent.
            let divisor = length.max(1e-8);
            direction.iter_mut().for_each(|d| *d /= divisor);
            let row = &mut self.w_enc[feature * d_in..(feature + 1) * d_in];
            row.iter_mut().for_each(|w| *w *= length);
            self.b_enc[feature] *= length;
            match &mut self.activation {
                Activation::JumpRelu { threshold } => threshold[feature] *= length,
                Activation::Gated { b_mag, .. } => b_mag[feature] *= length,
                _ => {}
            }
        }
    }
}
