//! What an SAE's reconstructions are held against: principal components, and a dictionary of random directions.

use super::principal_subspace::principal_subspace;
use crate::InterpError;
use crate::steer::random_direction;
use tiller_engine::Controls;
use tiller_sae::{Activation, Sae};

/// The rows' projections on as many of their own principal components, `[n, width]`. The components are those of these
/// very rows, which favours them.
pub(super) async fn by_components(
    rows: &[f32],
    width: usize,
    components: usize,
    controls: &impl Controls,
) -> Result<Vec<f32>, InterpError> {
    let (mean, found) = principal_subspace(rows, width, components, controls).await?;
    let mut projected = Vec::with_capacity(rows.len());
    for row in rows.chunks_exact(width) {
        let centred: Vec<f64> = row.iter().zip(&mean).map(|(&x, mean)| f64::from(x) - mean).collect();
        let mut sum = mean.clone();
        for direction in &found {
            let along: f64 = direction.iter().zip(&centred).map(|(d, x)| d * x).sum();
            sum.iter_mut().zip(direction).for_each(|(sum, d)| *sum += along * d);
        }
        projected.extend(sum.into_iter().map(|x| x as f32));
    }
    Ok(projected)
}

/// The same SAE with a random direction in the place of each feature's, as long as that; what reads the feature is along
/// it, as long as what read it before. Biases, thresholds and what keeps features sparse stay.
pub(super) fn with_random_directions(sae: &Sae, seed: u32) -> Sae {
    let (d_in, d_out) = (sae.d_in, sae.d_out());
    let mut random = sae.clone();
    let is_tied = matches!(sae.activation, Activation::MatchingPursuit { .. });
    let length = |numbers: &[f32]| numbers.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let write = |to: &mut [f32], direction: &[f32], length: f64| {
        to.iter_mut().zip(direction).for_each(|(to, &d)| *to = (f64::from(d) * length) as f32);
    };
    for feature in 0..sae.d_sae {
        let direction = random_direction(u64::from(seed) << 32 | feature as u64, d_in.max(d_out));
        let to = &mut random.w_dec[feature * d_out..(feature + 1) * d_out];
        write(to, &direction, length(sae.direction(feature)));
        if !is_tied {
            let to = &mut random.w_enc[feature * d_in..(feature + 1) * d_in];
            write(to, &direction, length(sae.encoder_row(feature)));
        }
    }
    random
}

/// `mean(x) + s (r - mean(r))`, with the one factor s that brings reconstructions `r` nearest to `x`; both `[n, width]`.
pub(super) fn best_scaled(reconstructions: &[f32], rows: &[f32], width: usize) -> Vec<f32> {
    let means = |rows: &[f32]| {
        let n = (rows.len() / width).max(1) as f64;
        let mut mean = vec![0.0; width];
        for row in rows.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / n);
        }
        mean
    };
    let (of_x, of_r) = (means(rows), means(reconstructions));
    let (mut product, mut square) = (0.0, 0.0);
    for (x, r) in rows.chunks_exact(width).zip(reconstructions.chunks_exact(width)) {
        for i in 0..width {
            let (x, r) = (f64::from(x[i]) - of_x[i], f64::from(r[i]) - of_r[i]);
            product += x * r;
            square += r * r;
        }
    }
    let factor = if square > 0.0 { product / square } else { 0.0 };
    let scaled = |r: &[f32]| -> Vec<f32> {
        r.iter()
            .zip(&of_r)
            .zip(&of_x)
            .map(|((&r, of_r), of_x)| (of_x + factor * (f64::from(r) - of_r)) as f32)
            .collect()
    };
    reconstructions.chunks_exact(width).flat_map(scaled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_factor_is_that_of_least_squares() {
        let rows = [1.0, 5.0, 3.0, 1.0, 2.0, 0.0f32];
        let off: Vec<f32> = rows.iter().map(|x| 7.0 - 4.0 * x).collect();
        let back = best_scaled(&off, &rows, 2);
        assert!(back.iter().zip(rows).all(|(a, b)| (a - b).abs() < 1e-5), "{back:?}");
        // What has nothing to do with the rows is best left out: their mean.
        assert_eq!(best_scaled(&[4.0; 6], &rows, 2), [2.0; 6]);
    }
}
