//! Some features of an SAE on their own.

use crate::{Activation, Sae};

impl Sae {
    /// Whether a feature's value depends on its own encoder row alone, and not on what the other features are.
    pub fn features_are_apart(&self) -> bool {
        !matches!(self.activation, Activation::TopK { .. } | Activation::MatchingPursuit { .. })
    }

    /// The SAE of these features alone, in this order: each has the value that it has among all. `None` where features
    /// depend on one another ([`Sae::features_are_apart`]), or where there is no feature of that number.
    pub fn part(&self, features: &[u32]) -> Option<Sae> {
        if !self.features_are_apart() || features.iter().any(|&feature| feature as usize >= self.d_sae) {
            return None;
        }
        let picked = |numbers: &[f32]| features.iter().map(|&feature| numbers[feature as usize]).collect::<Vec<f32>>();
        let activation = match &self.activation {
            Activation::JumpRelu { threshold } => Activation::JumpRelu { threshold: picked(threshold) },
            Activation::Gated { r_mag, b_mag } => Activation::Gated { r_mag: picked(r_mag), b_mag: picked(b_mag) },
            other => other.clone(),
        };
        Some(Sae {
            d_sae: features.len(),
            w_enc: features.iter().flat_map(|&feature| self.encoder_row(feature as usize)).copied().collect(),
            b_enc: picked(&self.b_enc),
            w_dec: features.iter().flat_map(|&feature| self.direction(feature as usize)).copied().collect(),
            b_dec: self.b_dec.clone(),
            activation,
            transcoder: self.transcoder.clone(),
            ..*self
        })
    }

    /// What a direction is multiplied by where the reconstruction of the activation `x`, `[d_in]`, is written in x's own
    /// units: 1, or what a normalisation multiplies again.
    pub fn unit_of(&self, x: &[f32]) -> f32 {
        self.normalisation.scale(x).factor() as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Normalisation;

    fn sae(activation: Activation) -> Sae {
        let number = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0;
        Sae {
            d_in: 5,
            d_sae: 7,
            w_enc: (0..35).map(number).collect(),
            b_enc: (40..47).map(number).collect(),
            w_dec: (50..85).map(number).collect(),
            b_dec: (90..95).map(number).collect(),
            apply_b_dec_to_input: true,
            activation,
            normalisation: Normalisation::LayerNorm,
            transcoder: None,
        }
    }

    #[test]
    fn a_feature_is_the_same_alone_as_among_all() {
        let numbers = |from: f32| (0..7).map(|i| from + 0.05 * i as f32).collect::<Vec<f32>>();
        for activation in [
            Activation::Relu,
            Activation::JumpRelu { threshold: numbers(0.1) },
            Activation::Gated { r_mag: numbers(-0.2), b_mag: numbers(-0.1) },
        ] {
            let sae = sae(activation);
            let part = sae.part(&[6, 0, 3]).unwrap();
            part.check().unwrap();
            let x = [0.3, -1.5, 2.0, 0.7, -0.2];
            let all = sae.encode(&x);
            let value = |feature: u32| all.iter().find(|(i, _)| *i == feature).map_or(0.0, |(_, value)| *value);
            let mut alone = [0.0; 3];
            part.encode(&x).into_iter().for_each(|(i, value)| alone[i as usize] = value);
            assert_eq!(alone, [value(6), value(0), value(3)]);
            assert_eq!(part.direction(1), sae.direction(0));
        }
        assert_eq!(sae(Activation::TopK { k: 2 }).part(&[1]), None);
        assert_eq!(sae(Activation::Relu).part(&[7]), None);
    }

    #[test]
    fn a_change_of_one_feature_is_its_direction_in_the_activation_s_own_units() {
        let sae = sae(Activation::Relu);
        let x = [3.0, -15.0, 20.0, 7.0, -2.0];
        let (with, without) = (sae.decode(&[(2, 1.5), (4, 0.5)], &x), sae.decode(&[(4, 0.5)], &x));
        for ((with, without), d) in with.iter().zip(without).zip(sae.direction(2)) {
            assert!((with - without - 1.5 * sae.unit_of(&x) * d).abs() < 1e-5);
        }
    }
}
