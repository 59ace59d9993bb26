//! Features to activations.

use crate::products::dot;
use crate::{Activation, Normalisation, Sae};

impl Sae {
    /// The reconstruction `[d_out]` of features of the activation `x`, `[d_in]`: its scale is what a normalisation
    /// multiplies again, and a transcoder's skip reads it. A feature may be any number, named in any order.
    pub fn decode(&self, features: &[(u32, f32)], x: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; self.d_out()];
        for &(feature, value) in features {
            let direction = self.direction(feature as usize);
            out.iter_mut().zip(direction).for_each(|(out, d)| *out += value * d);
        }
        // A pursuit that reads without the bias finds what is to be written without it.
        let tied = matches!(self.activation, Activation::MatchingPursuit { .. });
        if !tied || self.apply_b_dec_to_input {
            out.iter_mut().zip(&self.b_dec).for_each(|(out, b)| *out += b);
        }
        match &self.transcoder {
            None if self.normalisation != Normalisation::None => {
                let scale = self.normalisation.scale(x);
                out.iter_mut().for_each(|out| *out = scale.undo(*out));
            }
            None => {}
            Some(transcoder) => {
                if let Some(skip) = &transcoder.skip {
                    let rows = skip.chunks_exact(self.d_in);
                    out.iter_mut().zip(rows).for_each(|(out, row)| *out += dot(x, row));
                }
            }
        }
        out
    }
}
