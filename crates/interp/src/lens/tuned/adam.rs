//! The optimiser of a lens's translators.

use super::LensGradient;
use crate::lens::translators::Translator;

/// Adam's (Kingma and Ba 2015).
const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// One translator's numbers, `[scale | shift]`, and Adam's means. Shifts are counted in multiples of `unit`, so that one
/// learning rate serves residual streams of any length.
#[derive(Clone, Debug)]
pub(super) struct Learnt {
    unit: f64,
    values: Vec<f64>,
    means: Vec<f64>,
    squares: Vec<f64>,
}

impl Learnt {
    /// `unit`: above 0.
    pub fn new(translator: &Translator, unit: f64) -> Learnt {
        let scale = translator.scale.iter().map(|&x| f64::from(x));
        let values: Vec<f64> = scale.chain(translator.shift.iter().map(|&x| f64::from(x) / unit)).collect();
        let zeros = vec![0.0; values.len()];
        Learnt { unit, values, means: zeros.clone(), squares: zeros }
    }

    /// `step` counts from 1.
    pub fn step(&mut self, gradient: &LensGradient, step: usize, rate: f64) {
        let exponent = step.min(i32::MAX as usize) as i32;
        let (rest_1, rest_2) = (1.0 - BETA_1.powi(exponent), 1.0 - BETA_2.powi(exponent));
        let by_shift = gradient.by_shift.iter().map(|g| g * self.unit);
        let gradient = gradient.by_scale.iter().copied().chain(by_shift);
        let moments = self.means.iter_mut().zip(&mut self.squares);
        for ((value, (mean, square)), gradient) in self.values.iter_mut().zip(moments).zip(gradient) {
            *mean = BETA_1 * *mean + (1.0 - BETA_1) * gradient;
            *square = BETA_2 * *square + (1.0 - BETA_2) * gradient * gradient;
            *value -= rate * (*mean / rest_1) / ((*square / rest_2).sqrt() + EPSILON);
        }
    }

    pub fn write(&self, to: &mut Translator) {
        let (scale, shift) = self.values.split_at(to.scale.len());
        to.scale.iter_mut().zip(scale).for_each(|(to, &x)| *to = x as f32);
        to.shift.iter_mut().zip(shift).for_each(|(to, &x)| *to = (x * self.unit) as f32);
    }
}
