//! What is done to an activation before it is encoded, and undone after it is decoded.

use crate::Normalisation;

/// SAELens adds it to the standard deviation before dividing (and not when it multiplies again).
const EPSILON: f64 = 1e-5;

/// How one activation was normalised.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    mean: f64,
    /// What a normalised number was divided by.
    divisor: f64,
    /// What a reconstructed number is multiplied by.
    factor: f64,
}

impl Normalisation {
    /// The scale of an activation of `x.len()` numbers.
    pub(crate) fn scale(self, x: &[f32]) -> Scale {
        let n = x.len() as f64;
        match self {
            Normalisation::None => Scale { mean: 0.0, divisor: 1.0, factor: 1.0 },
            Normalisation::LayerNorm => {
                let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
                let squares: f64 = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
                let deviation = (squares / (n - 1.0)).sqrt();
                Scale { mean, divisor: deviation + EPSILON, factor: deviation }
            }
            Normalisation::ConstantNorm => {
                let length = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
                // An activation of zeros has no length that could be made another.
                let divisor = if length > 0.0 { length / n.sqrt() } else { 1.0 };
                Scale { mean: 0.0, divisor, factor: divisor }
            }
        }
    }
}

impl Scale {
    pub fn normalise(self, x: f32) -> f32 {
        ((f64::from(x) - self.mean) / self.divisor) as f32
    }

    /// What a reconstructed number is multiplied by.
    pub fn factor(self) -> f64 {
        self.factor
    }

    pub fn undo(self, x: f32) -> f32 {
        (f64::from(x) * self.factor + self.mean) as f32
    }

    /// What [`Scale::undo`] makes `x` of; 0 where it makes one number of all.
    pub fn redo(self, x: f32) -> f32 {
        if self.factor > 0.0 { ((f64::from(x) - self.mean) / self.factor) as f32 } else { 0.0 }
    }
}
