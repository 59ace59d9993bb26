//! Activations, batch after batch, in a new order each time all have been read.

use super::random::Random;
use super::{ActivationRows, TrainError, TrainOptions, Trainer};

/// Activations from which scale, middle and the first directions are taken.
const SAMPLE: usize = 8192;

/// The order in which activations are read.
#[derive(Clone, Debug)]
pub struct Batches {
    order: Vec<usize>,
    next: usize,
    batch: usize,
    random: Random,
}

impl Batches {
    /// An autoencoder at the start of its training on `activations`, and the order in which it is to read them. Errors
    /// where the options do not fit the activations.
    pub fn begin(activations: &impl ActivationRows, options: &TrainOptions) -> Result<(Trainer, Batches), TrainError> {
        let (rows, width) = (activations.rows(), activations.width());
        options.check(width)?;
        if rows < options.batch {
            return Err(TrainError::TooFew { found: rows, batch: options.batch });
        }
        let mut order: Vec<usize> = (0..rows).collect();
        let mut random = Random::new(options.seed ^ 0x5eed);
        random.shuffle(&mut order);
        let trainer = Trainer::new(width, options, &read(activations, &order[..rows.min(SAMPLE)]))?;
        Ok((trainer, Batches { order, next: 0, batch: options.batch, random }))
    }

    /// The next batch, `[batch, width]`, of the activations that were given at the beginning.
    pub fn next(&mut self, activations: &impl ActivationRows) -> Vec<f32> {
        if self.next + self.batch > self.order.len() {
            self.random.shuffle(&mut self.order);
            self.next = 0;
        }
        self.next += self.batch;
        read(activations, &self.order[self.next - self.batch..self.next])
    }
}

fn read(activations: &impl ActivationRows, rows: &[usize]) -> Vec<f32> {
    let width = activations.width();
    let mut values = vec![0.0; rows.len() * width];
    rows.iter().zip(values.chunks_exact_mut(width)).for_each(|(&row, out)| activations.read(row, out));
    values
}
