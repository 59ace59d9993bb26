//! Features to activations.

use crate::products::dot;
use crate::{Activation, Normalisation, Sae, Transcoder};

impl Sae {
    /// The reconstruction `[d_out]` of features of the activation `x`, `[d_in]`: its scale is what a normalisation
    /// multiplies again, and a transcoder's skip reads it. A feature may be any number, named in any order.
    pub fn decode(&self, features: &[(u32, f32)], x: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; self.d_out()];
        for &(feature, value) in features {
            let direction = self.direction(feature as usize);
            out.iter_mut().zip(direction).for_each(|(out, d)| *out += value * d);
        }
        if self.writes_bias() {
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

    /// What features' directions have to add up to for the reconstruction to be `target`, `[d_out]`: it is normalised as
    /// the activation `x`, `[d_in]`, was, and what is written without any feature is taken off.
    pub fn unbiased(&self, target: &[f32], x: &[f32]) -> Vec<f32> {
        let mut out = target.to_vec();
        if self.transcoder.is_none() && self.normalisation != Normalisation::None {
            let scale = self.normalisation.scale(x);
            out.iter_mut().for_each(|out| *out = scale.redo(*out));
        }
        if self.writes_bias() {
            out.iter_mut().zip(&self.b_dec).for_each(|(out, b)| *out -= b);
        }
        if let Some(Transcoder { skip: Some(skip), .. }) = &self.transcoder {
            out.iter_mut().zip(skip.chunks_exact(self.d_in)).for_each(|(out, row)| *out -= dot(x, row));
        }
        out
    }

    /// A pursuit that reads without the bias finds what is to be written without it.
    fn writes_bias(&self) -> bool {
        !matches!(self.activation, Activation::MatchingPursuit { .. }) || self.apply_b_dec_to_input
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::random::Random;

    #[test]
    fn what_features_have_to_add_up_to_is_what_they_add_up_to() {
        let mut random = Random::new(3);
        let mut numbers = |count: usize| -> Vec<f32> { (0..count).map(|_| random.gaussian()).collect() };
        let transcoder = || Some(Transcoder { d_out: 6, skip: Some(vec![0.3; 36]) });
        let cases = [
            (Normalisation::None, None),
            (Normalisation::LayerNorm, None),
            (Normalisation::ConstantNorm, None),
            (Normalisation::None, transcoder()),
        ];
        for (normalisation, transcoder) in cases {
            let apply_b_dec_to_input = transcoder.is_none();
            let sae = Sae {
                d_in: 6,
                d_sae: 4,
                w_enc: numbers(24),
                b_enc: numbers(4),
                w_dec: numbers(24),
                b_dec: numbers(6),
                apply_b_dec_to_input,
                activation: Activation::Relu,
                normalisation,
                transcoder,
            };
            let x = numbers(6);
            let found = sae.unbiased(&sae.decode(&[(1, 2.0), (3, 0.5)], &x), &x);
            let added = sae.direction(1).iter().zip(sae.direction(3)).map(|(a, b)| 2.0 * a + 0.5 * b);
            assert!(found.iter().zip(added).all(|(a, b)| (a - b).abs() < 1e-3), "{normalisation:?}");
        }
    }
}
