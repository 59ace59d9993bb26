//! A feature's weights, and its step.

use super::backward::Entry;
use super::start::normalise;
use super::tiles::dot;

/// Adam's (Kingma and Ba 2015), and its epsilon as Gao et al. 2024 have it: activations are sparse, gradients small.
const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 6.25e-10;

/// Numbers that are learnt, with Adam's running means of their gradients and of those squared.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Learnt {
    pub values: Vec<f32>,
    means: Vec<f32>,
    squares: Vec<f32>,
}

/// A step's size, and what Adam's means fall short of after so many steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// The rate over what the mean of gradients falls short by, and one over what that of their squares does.
    pub size: f32,
    pub root: f32,
}

impl Rate {
    /// `step` counts from 1.
    pub fn at(learning_rate: f32, step: usize) -> Rate {
        let exponent = step.min(i32::MAX as usize) as i32;
        let correction = |beta: f32| (1.0 - f64::from(beta).powi(exponent)) as f32;
        Rate { size: learning_rate / correction(BETA_1), root: 1.0 / correction(BETA_2) }
    }
}

impl Learnt {
    pub fn new(values: Vec<f32>) -> Learnt {
        let zeros = vec![0.0; values.len()];
        Learnt { values, means: zeros.clone(), squares: zeros }
    }

    pub fn step(&mut self, gradient: &[f32], rate: Rate) {
        let Rate { size, root } = rate;
        let moments = self.means.iter_mut().zip(&mut self.squares);
        for ((value, (mean, square)), &gradient) in self.values.iter_mut().zip(moments).zip(gradient) {
            *mean = BETA_1 * *mean + (1.0 - BETA_1) * gradient;
            *square = BETA_2 * *square + (1.0 - BETA_2) * gradient * gradient;
            *value -= size * *mean / ((*square * root).sqrt() + EPSILON);
        }
    }
}

/// One feature.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Feature {
    /// `[d_in]`; of matching pursuit the decoder's numbers, which alone are learnt.
    pub encoder: Learnt,
    /// `[d_in]`, of length 1.
    pub decoder: Learnt,
    /// `[bias, ln threshold]`; only JumpReLU has a threshold.
    pub scalars: Learnt,
    /// Activations since it was last active.
    pub silent_for: u64,
}

/// What a batch's activations are to the features' gradients; all `[n, d_in]`.
pub(super) struct Batch<'a> {
    /// Less the decoder's bias.
    pub inputs: &'a [f32],
    /// The gradient by the reconstruction.
    pub errors: &'a [f32],
    /// The gradient by what dead features make of the rest; empty where none do.
    pub auxiliary: &'a [f32],
}

impl Feature {
    pub fn new(encoder: Vec<f32>, decoder: Vec<f32>, threshold: f32) -> Feature {
        Feature {
            encoder: Learnt::new(encoder),
            decoder: Learnt::new(decoder),
            scalars: Learnt::new(vec![0.0, threshold.ln()]),
            silent_for: 0,
        }
    }

    /// One that reads along the direction that it writes.
    pub fn tied(direction: Vec<f32>) -> Feature {
        let mut feature = Feature::new(direction.clone(), direction, 1.0);
        (feature.encoder.means, feature.encoder.squares) = (Vec::new(), Vec::new());
        feature
    }

    fn is_tied(&self) -> bool {
        self.encoder.means.is_empty()
    }

    pub fn bias(&self) -> f32 {
        self.scalars.values[0]
    }

    pub fn threshold(&self) -> f32 {
        self.scalars.values[1].exp()
    }

    /// The gradients by encoder, decoder and scalars, of all places where the feature took part.
    pub fn gradients(&self, entries: &[Entry], batch: &Batch<'_>) -> (Vec<f32>, Vec<f32>, [f32; 2]) {
        let width = self.encoder.values.len();
        let (mut encoder, mut decoder, mut scalars) = (vec![0.0; width], vec![0.0; width], [0.0; 2]);
        for entry in entries {
            let row = entry.row as usize * width..(entry.row as usize + 1) * width;
            let error = if entry.auxiliary { &batch.auxiliary[row.clone()] } else { &batch.errors[row.clone()] };
            add(&mut decoder, entry.value, error);
            if entry.by_hidden != 0.0 {
                add(&mut encoder, entry.by_hidden, &batch.inputs[row]);
            }
            scalars[0] += entry.by_hidden;
            scalars[1] += entry.by_ln_threshold;
        }
        (encoder, decoder, scalars)
    }

    /// A step of Adam. The decoder's gradient along its direction is taken off first, and its length made 1 again
    /// afterwards (Bricken et al. 2023).
    pub fn step(&mut self, gradients: (Vec<f32>, Vec<f32>, [f32; 2]), rate: Rate) {
        let (encoder, mut decoder, scalars) = gradients;
        let along = dot(&decoder, &self.decoder.values);
        add(&mut decoder, -along, &self.decoder.values);
        self.encoder.step(&encoder, rate);
        self.decoder.step(&decoder, rate);
        self.scalars.step(&scalars, rate);
        normalise(&mut self.decoder.values);
        if self.is_tied() {
            self.encoder.values.copy_from_slice(&self.decoder.values);
        }
    }
}

/// `to += factor * x`
pub(super) fn add(to: &mut [f32], factor: f32, x: &[f32]) {
    if factor != 0.0 {
        to.iter_mut().zip(x).for_each(|(to, x)| *to += factor * x);
    }
}
