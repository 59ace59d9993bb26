//! How well an autoencoder writes activations down, on those that it was not trained on.

use super::{ActivationRows, parallel};
use crate::Sae;

/// Activations that are encoded at once.
const ROWS_AT_ONCE: usize = 64;

/// Over many activations.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    pub rows: usize,
    /// `1 - E|x - x'|^2 / (E|x|^2 - |E x|^2)`
    pub explained_variance: f64,
    /// Active features of an activation, on average.
    pub l0: f64,
    /// Mean length of the reconstruction over that of the activation.
    pub length_ratio: f64,
    /// By feature, the fraction of activations in which it is active.
    pub density: Vec<f64>,
}

impl Fit {
    /// Features that were never active.
    pub fn dead(&self) -> usize {
        self.density.iter().filter(|&&density| density == 0.0).count()
    }
}

#[derive(Default)]
struct Sums {
    values: Vec<f64>,
    squares: f64,
    errors: f64,
    ratios: f64,
    active: Vec<u32>,
}

/// Encodes and decodes every one of `activations`. `None` if there are none.
pub fn fit(sae: &Sae, activations: &(impl ActivationRows + Sync)) -> Option<Fit> {
    let (rows, width) = (activations.rows(), activations.width());
    let parts = parallel::map(rows.div_ceil(ROWS_AT_ONCE), |part| {
        let mut x = vec![0.0; (rows - part * ROWS_AT_ONCE).min(ROWS_AT_ONCE) * width];
        x.chunks_exact_mut(width).zip(part * ROWS_AT_ONCE..).for_each(|(out, row)| activations.read(row, out));
        let mut sums = Sums { values: vec![0.0; width], ..Sums::default() };
        for (x, features) in x.chunks_exact(width).zip(sae.encode_rows(&x)) {
            let written = sae.decode(&features, x);
            let squared = |x: f32| f64::from(x).powi(2);
            let (length, length_written) =
                (x.iter().map(|&x| squared(x)).sum::<f64>(), written.iter().map(|&x| squared(x)).sum::<f64>());
            sums.values.iter_mut().zip(x).for_each(|(sum, &x)| *sum += f64::from(x));
            sums.squares += length;
            sums.errors += x.iter().zip(&written).map(|(&x, &y)| squared(x - y)).sum::<f64>();
            sums.ratios += (length_written / length.max(f64::MIN_POSITIVE)).sqrt();
            sums.active.extend(features.iter().map(|&(feature, _)| feature));
        }
        sums
    });
    if rows == 0 {
        return None;
    }
    let n = rows as f64;
    let mut counts = vec![0u64; sae.d_sae];
    parts.iter().flat_map(|part| &part.active).for_each(|&feature| counts[feature as usize] += 1);
    let total = |of: fn(&Sums) -> f64| parts.iter().map(of).sum::<f64>();
    let mean = (0..width).map(|d| parts.iter().map(|part| part.values[d]).sum::<f64>() / n);
    let variance = total(|part| part.squares) - n * mean.map(|mean| mean * mean).sum::<f64>();
    Some(Fit {
        rows,
        explained_variance: 1.0 - total(|part| part.errors) / variance.max(f64::MIN_POSITIVE),
        l0: counts.iter().sum::<u64>() as f64 / n,
        length_ratio: total(|part| part.ratios) / n,
        density: counts.into_iter().map(|count| count as f64 / n).collect(),
    })
}

/// By feature: at which of `activations` it is active, and how much, in their order.
pub fn feature_rows(sae: &Sae, activations: &(impl ActivationRows + Sync)) -> Vec<Vec<(u32, f32)>> {
    let (rows, width) = (activations.rows(), activations.width());
    let parts = parallel::map(rows.div_ceil(ROWS_AT_ONCE), |part| {
        let mut x = vec![0.0; (rows - part * ROWS_AT_ONCE).min(ROWS_AT_ONCE) * width];
        x.chunks_exact_mut(width).zip(part * ROWS_AT_ONCE..).for_each(|(out, row)| activations.read(row, out));
        sae.encode_rows(&x)
    });
    let mut found = vec![Vec::new(); sae.d_sae];
    for (features, row) in parts.into_iter().flatten().zip(0..) {
        features.into_iter().for_each(|(feature, value)| found[feature as usize].push((row, value)));
    }
    found
}
