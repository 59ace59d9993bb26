//! Erasing what a straight cut can read, and as little else as possible.

use super::covariance::{Classes, Total};
use super::examples::Activations;
use super::features::Features;
use crate::positive_definite::dot;
use std::sync::Arc;
use tiller_engine::{Edit, Operation, Site};

/// Of a concept that explains less than this much of the whitened activations nothing is erased.
const TOLERANCE: f64 = 0.01;

/// Least-squares concept erasure (Belrose et al. 2023, "LEACE: Perfect linear concept erasure in closed form", theorem
/// 4.3) of a label with two values: `x - write (read . (x - mean))`, an oblique projection of rank one. Nothing linear
/// that was fitted on the same texts does better on what it leaves than a constant.
///
/// With S the covariance and c the covariance of activation and label, `write = c / s`, `read = S^-1 c / s` and
/// `s^2 = c^T S^-1 c`: the paper's whitening, projecting and unwhitening, without whitening.
#[derive(Clone, Debug, PartialEq)]
pub struct Leace {
    /// `[width]`.
    pub read: Vec<f64>,
    /// `[width]`.
    pub write: Vec<f64>,
    /// Of the training texts' activations, `[width]`.
    pub mean: Vec<f64>,
}

impl Leace {
    /// Of the texts named, `labels` theirs in this order, of both classes. S is shrunk towards a multiple of the
    /// identity by Bodnar, Gupta and Parolya (2014, "On the strong convergence of the optimal linear shrinkage
    /// estimator"), as the authors' package does. `None` where there is nothing to erase.
    pub fn fit(activations: &Activations, texts: &[usize], labels: &[bool]) -> Option<Leace> {
        let features = Features::of(activations, texts, false);
        if features.rank == 0 {
            return None;
        }
        let total = Total::of(&features);
        let (n, width) = (texts.len() as f64, activations.width() as f64);
        let trace_square = total.trace() * total.trace();
        let kept = (1.0 - trace_square / n / (total.square() - trace_square / width)).clamp(0.0, 1.0);
        let factor = total.factor(features.rank, kept, (1.0 - kept) * total.trace() / width)?;
        let classes = Classes::of(&features, labels);
        // sum (x - mean) (z - mean of z) / (n - 1), z the label as 0 or 1.
        let share = classes.positive * (1.0 - classes.positive) * n / (n - 1.0);
        let with_label: Vec<f64> = classes.difference.iter().map(|x| share * x).collect();
        let solved = factor.solve(&with_label);
        let size = dot(&with_label, &solved).sqrt();
        if !(size > TOLERANCE) {
            return None;
        }
        let of_size = |x: &[f64]| features.back(x).iter().map(|x| x / size).collect();
        Some(Leace { read: of_size(&solved), write: of_size(&with_label), mean: features.mean.clone() })
    }

    /// The erasure of one activation, `[width]`.
    pub fn erase(&self, activation: &[f32]) -> Vec<f64> {
        let along: f64 =
            self.read.iter().zip(activation).zip(&self.mean).map(|((r, &x), mean)| r * (f64::from(x) - mean)).sum();
        activation.iter().zip(&self.write).map(|(&x, write)| f64::from(x) - along * write).collect()
    }

    /// The erasure as an edit at every token.
    pub fn edit(&self, site: Site) -> Edit {
        let single = |values: &[f64]| -> Arc<[f32]> { values.iter().map(|&x| x as f32).collect() };
        let offset = -dot(&self.read, &self.mean) as f32;
        let offsets = Some(Arc::from([offset]));
        let (read, write) = (single(&self.read), self.write.iter().map(|&x| -x as f32).collect());
        Edit::new(site, Operation::Map { read, write, offsets, coefficient: 1.0 })
    }
}
