//! What an SAE leaves out, and how much of that could be read off the activation (Engels et al. 2024, "Decomposing the
//! Dark Matter of Sparse Autoencoders").

use super::card::SplicedLoss;
use crate::InterpError;
use crate::positive_definite::{Factor, add_multiple, dot, gram_of_columns};
use serde::Serialize;
use tiller_engine::{Controls, EngineError};

/// The penalty on squared weights, as a share of the mean variance that the activation's numbers have: enough that a
/// number which hardly varies does no harm, and too little to be seen in the result.
const RIDGE: f64 = 1e-3;
/// Rows between two looks at whether to stop.
const ROWS: usize = 256;

/// What an SAE leaves out, `x - x'`, as far as it is a linear function of the activation x: fitted on some texts, judged
/// on others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DarkMatter {
    /// Activations behind the fit.
    pub fitted_on: usize,
    /// Fraction of the errors' variance that is foreseen, mean over their numbers.
    pub r2_vector: f64,
    /// Fraction of the variance of the errors' squared lengths that is foreseen.
    pub r2_length: f64,
    /// Fraction of the activations' variance that is unexplained by reconstructions with what is foreseen added.
    pub fvu: f64,
    /// The model's, with such reconstructions in the activation's place; `None` where it was not run.
    pub loss: Option<SplicedLoss>,
}

/// An SAE's errors, and their squared lengths, as linear functions of the activation.
pub struct LinearErrors {
    d_in: usize,
    d_out: usize,
    mean: Vec<f64>,
    /// `[d_out + 1, d_in]`: the last is the squared length's.
    weights: Vec<f64>,
    /// `[d_out + 1]`
    constants: Vec<f64>,
}

impl LinearErrors {
    /// Least squares with a ridge, of errors `[n, d_out]` on activations `x`, `[n, d_in]`; the constants are not
    /// penalised. `None` where the activations do not vary. Errors where the work was cancelled.
    pub async fn fit(
        x: &[f32],
        errors: &[f32],
        d_in: usize,
        controls: &impl Controls,
    ) -> Result<Option<LinearErrors>, InterpError> {
        let rows = x.len() / d_in;
        let d_out = errors.len() / rows.max(1);
        let wide = d_out + 1;
        let (mean, constants) = (means(x, d_in), targets_mean(errors, d_out));
        let (mut gram, mut cross) = (vec![0.0; d_in * d_in], vec![0.0; d_in * wide]);
        for (x, errors) in x.chunks(ROWS * d_in).zip(errors.chunks(ROWS * d_out)) {
            controls.pause().await;
            if controls.cancelled() {
                return Err(EngineError::Cancelled.into());
            }
            let x: Vec<f64> = x.chunks_exact(d_in).flat_map(|row| centred(row, &mean)).collect();
            add_multiple(&mut gram, 1.0, &gram_of_columns(&x, d_in));
            for (x, error) in x.chunks_exact(d_in).zip(errors.chunks_exact(d_out)) {
                let target = targets(error, &constants);
                x.iter().zip(cross.chunks_exact_mut(wide)).for_each(|(&x, line)| add_multiple(line, x, &target));
            }
        }
        let varies = (0..d_in).map(|i| gram[i * d_in + i]).sum::<f64>();
        // Less is what rounding makes of activations that are all alike.
        if varies <= 1e-12 * square(x) {
            return Ok(None);
        }
        let ridge = RIDGE * varies / d_in as f64;
        (0..d_in).for_each(|i| gram[i * d_in + i] += ridge);
        let Some(factor) = Factor::of(gram, d_in) else { return Ok(None) };
        let column = |n: usize| (0..d_in).map(|i| cross[i * wide + n]).collect::<Vec<f64>>();
        let weights = (0..wide).flat_map(|n| factor.solve(&column(n))).collect();
        Ok(Some(LinearErrors { d_in, d_out, mean, weights, constants }))
    }

    /// The errors foreseen of activations, `[n, d_out]`, and their squared lengths, `[n]`.
    pub fn foresee(&self, x: &[f32]) -> (Vec<f32>, Vec<f64>) {
        let (mut errors, mut squares) = (Vec::new(), Vec::new());
        for x in x.chunks_exact(self.d_in) {
            let x = centred(x, &self.mean);
            let lines = self.weights.chunks_exact(self.d_in).zip(&self.constants);
            let mut found: Vec<f64> = lines.map(|(line, constant)| constant + dot(line, &x)).collect();
            squares.extend(found.pop());
            errors.extend(found.into_iter().map(|x| x as f32));
        }
        (errors, squares)
    }

    /// Of rows that it was not fitted to: the fraction of the variance of the errors that is foreseen, mean over their
    /// numbers, and of that of their squared length.
    pub fn r_squared(&self, x: &[f32], errors: &[f32]) -> (f64, f64) {
        let (foreseen, squares) = self.foresee(x);
        let found: Vec<f64> = errors.chunks_exact(self.d_out).map(square).collect();
        let of_number = |i: usize| {
            let column = |rows: &[f32]| rows[i..].iter().step_by(self.d_out).map(|&x| f64::from(x)).collect::<Vec<_>>();
            determination(&column(errors), &column(&foreseen))
        };
        let vector = (0..self.d_out).map(of_number).sum::<f64>() / self.d_out as f64;
        (vector, determination(&found, &squares))
    }
}

/// `1 - sum (y - y')^2 / sum (y - mean y)^2`; 0 where y does not vary.
fn determination(found: &[f64], foreseen: &[f64]) -> f64 {
    let mean = found.iter().sum::<f64>() / found.len() as f64;
    let all: f64 = found.iter().map(|y| (y - mean).powi(2)).sum();
    let left: f64 = found.iter().zip(foreseen).map(|(y, f)| (y - f).powi(2)).sum();
    if all > 0.0 { 1.0 - left / all } else { 0.0 }
}

fn means(rows: &[f32], width: usize) -> Vec<f64> {
    let mut mean = vec![0.0; width];
    let n = (rows.len() / width).max(1) as f64;
    rows.chunks_exact(width).for_each(|row| mean.iter_mut().zip(row).for_each(|(m, &x)| *m += f64::from(x) / n));
    mean
}

fn targets_mean(errors: &[f32], d_out: usize) -> Vec<f64> {
    let mut mean = means(errors, d_out.max(1));
    let n = (errors.len() / d_out.max(1)).max(1) as f64;
    mean.push(errors.chunks_exact(d_out.max(1)).map(square).sum::<f64>() / n);
    mean
}

/// An error and its squared length, less their means.
fn targets(error: &[f32], means: &[f64]) -> Vec<f64> {
    let all = error.iter().map(|&x| f64::from(x)).chain([square(error)]);
    all.zip(means).map(|(x, mean)| x - mean).collect()
}

fn centred(x: &[f32], mean: &[f64]) -> Vec<f64> {
    x.iter().zip(mean).map(|(&x, mean)| f64::from(x) - mean).collect()
}

fn square(x: &[f32]) -> f64 {
    x.iter().map(|&x| f64::from(x).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steer::random_direction;

    const D: usize = 48;

    /// Activations of a sparse part (the first 32 directions of a rotated frame) and a dense one (the other 16); the errors
    /// of an SAE that finds the sparse part, with noise, and nothing of the dense one. `noise` is the noise's share of the
    /// errors' variance.
    fn planted(seed: u64, rows: usize, noise: f64) -> (Vec<f32>, Vec<f32>) {
        let gaussian = |row: usize, stream: u64, n: usize| -> Vec<f64> {
            let scale = (n as f64).sqrt();
            let drawn = random_direction(seed << 40 | stream << 32 | row as u64, n);
            drawn.into_iter().map(|x| f64::from(x) * scale).collect()
        };
        // A reflection, which mixes all numbers: x - 2 (x . m) m.
        let mirror: Vec<f64> = random_direction(77, D).into_iter().map(f64::from).collect();
        let reflected = |x: &[f64]| -> Vec<f32> {
            let along = 2.0 * dot(x, &mirror);
            x.iter().zip(&mirror).map(|(x, m)| (x - along * m) as f32).collect()
        };
        let (mut x, mut errors) = (Vec::new(), Vec::new());
        for row in 0..rows {
            let (sparse, dense, random) = (gaussian(row, 0, 32), gaussian(row, 1, 16), gaussian(row, 2, 16));
            let sparse: Vec<f64> = sparse.iter().map(|s| if *s > 1.0 { 4.0 * s } else { 0.0 }).collect();
            // Noise on the dense part's own numbers, so that each has both.
            let both = |d: &f64, r: &f64| (1.0 - noise).sqrt() * d + noise.sqrt() * r;
            let error: Vec<f64> =
                vec![0.0; 32].into_iter().chain(dense.iter().zip(&random).map(|(d, r)| both(d, r))).collect();
            x.extend(reflected(&[sparse, dense].concat()));
            errors.extend(reflected(&error));
        }
        (x, errors)
    }

    #[test]
    fn the_part_of_errors_that_is_linear_is_the_part_that_was_planted() {
        for noise in [0.0, 0.3, 0.7, 1.0] {
            let (x, errors) = planted(1, 3000, noise);
            let fitted = pollster::block_on(LinearErrors::fit(&x, &errors, D, &())).unwrap().unwrap();
            let (x, errors) = planted(2, 3000, noise);
            let (vector, square) = fitted.r_squared(&x, &errors);
            // The mirror puts a little of the dense part into the sparse numbers: they count as much as others.
            assert!((vector - (1.0 - noise)).abs() < 0.05, "noise {noise}: {vector}");
            // The squared length of a Gaussian is no linear function of it.
            assert!(square.abs() < 0.1, "noise {noise}: {square}");
        }
    }

    #[test]
    fn activations_that_do_not_vary_foresee_nothing() {
        let fitted = pollster::block_on(LinearErrors::fit(&[1.0; 20], &[2.0; 20], 2, &())).unwrap();
        assert!(fitted.is_none());
    }
}
