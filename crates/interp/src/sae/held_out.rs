//! How well an SAE writes down activations that it was not trained on, beside what else could be as sparse.

use super::baselines::{best_scaled, with_random_directions};
use super::principal_subspace::principal_subspace;
use crate::InterpError;
use tiller_engine::{Controls, EngineError};
use tiller_sae::Sae;

/// Activations that are encoded between two looks at whether to stop.
const ROWS: usize = 64;

/// On activations that were held back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldOut {
    pub rows: usize,
    /// `1 - E|x - x'|^2 / E|x - E x|^2`
    pub explained: f64,
    /// Features that are not 0, mean over activations.
    pub l0: f64,
    /// Features that are 0 everywhere here: of few activations, many that are alive are.
    pub dead: usize,
    /// What as many principal components as L0, rounded, explain: those of the training activations.
    pub by_components: f64,
    /// What the same SAE with random directions explains, brought to the scale that serves it best on these very
    /// activations, and its L0.
    pub by_random: f64,
    pub random_l0: f64,
}

/// `training`, `held_out`: activations, `[n, d_in]`. Principal components are fitted to the first; everything is measured on
/// the second. Of an SAE that writes what it reads. Errors where there are fewer than two of either, or the work was
/// cancelled.
pub async fn held_out(
    sae: &Sae,
    training: &[f32],
    held_out: &[f32],
    seed: u32,
    controls: &impl Controls,
) -> Result<HeldOut, InterpError> {
    let width = sae.d_in;
    let rows = held_out.len() / width;
    for rows in [training.len() / width, rows] {
        if rows < 2 {
            return Err(InterpError::TooLittleText { tokens: rows, needed: 2 });
        }
    }
    let (written, active) = written(sae, held_out, controls).await?;
    let l0 = active.iter().sum::<u64>() as f64 / rows as f64;

    let (mean, components) = principal_subspace(training, width, (l0.round() as usize).max(1), controls).await?;
    let projected = held_out.chunks_exact(width).flat_map(|row| {
        let centred: Vec<f64> = row.iter().zip(&mean).map(|(&x, mean)| f64::from(x) - mean).collect();
        let mut sum = mean.clone();
        for direction in &components {
            let along: f64 = direction.iter().zip(&centred).map(|(d, x)| d * x).sum();
            sum.iter_mut().zip(direction).for_each(|(sum, d)| *sum += along * d);
        }
        sum.into_iter().map(|x| x as f32)
    });
    let by_components = explained(&projected.collect::<Vec<f32>>(), held_out, width);

    let random = with_random_directions(sae, seed);
    let (by_random, of_random) = self::written(&random, held_out, controls).await?;
    Ok(HeldOut {
        rows,
        explained: explained(&written, held_out, width),
        l0,
        dead: active.iter().filter(|&&count| count == 0).count(),
        by_components,
        by_random: explained(&best_scaled(&by_random, held_out, width), held_out, width),
        random_l0: of_random.iter().sum::<u64>() as f64 / rows as f64,
    })
}

/// The reconstructions of activations, and on how many of them each feature is not 0.
async fn written(sae: &Sae, rows: &[f32], controls: &impl Controls) -> Result<(Vec<f32>, Vec<u64>), InterpError> {
    let mut written = Vec::with_capacity(rows.len());
    let mut active = vec![0; sae.d_sae];
    for some in rows.chunks(ROWS * sae.d_in) {
        controls.pause().await;
        if controls.cancelled() {
            return Err(EngineError::Cancelled.into());
        }
        for (x, features) in some.chunks_exact(sae.d_in).zip(sae.encode_rows(some)) {
            written.extend(sae.decode(&features, x));
            features.iter().for_each(|&(feature, _)| active[feature as usize] += 1);
        }
    }
    Ok((written, active))
}

fn explained(written: &[f32], rows: &[f32], width: usize) -> f64 {
    let n = (rows.len() / width) as f64;
    let (mut sums, mut squares, mut errors) = (vec![0f64; width], 0.0, 0.0);
    for (x, y) in rows.chunks_exact(width).zip(written.chunks_exact(width)) {
        for i in 0..width {
            sums[i] += f64::from(x[i]);
            squares += f64::from(x[i]).powi(2);
            errors += (f64::from(x[i]) - f64::from(y[i])).powi(2);
        }
    }
    let variance = squares - sums.iter().map(|sum| sum * sum).sum::<f64>() / n;
    1.0 - errors / variance.max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steer::random_direction;
    use tiller_sae::{Activation, Normalisation};

    const WIDTH: usize = 24;
    const FEATURES: usize = 48;

    /// Sums of two of many directions, off the origin.
    fn rows(n: u64, seed: u64, directions: &[Vec<f32>]) -> Vec<f32> {
        let row = |i: u64| {
            let draw = |salt: u64| (seed + i).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ salt).rotate_left(23) as usize;
            let (a, b) = (draw(1) % FEATURES, draw(77) % FEATURES);
            (0..WIDTH).map(|d| 3.0 + 4.0 * directions[a][d] + 2.0 * directions[b][d]).collect::<Vec<f32>>()
        };
        (0..n).flat_map(row).collect()
    }

    #[test]
    fn the_true_directions_are_better_than_components_and_components_than_random_directions() {
        let directions: Vec<Vec<f32>> = (0..FEATURES as u64).map(|i| random_direction(900 + i, WIDTH)).collect();
        let w_dec: Vec<f32> = directions.iter().flatten().copied().collect();
        let sae = Sae {
            d_in: WIDTH,
            d_sae: FEATURES,
            w_enc: Vec::new(),
            b_enc: Vec::new(),
            w_dec,
            b_dec: vec![3.0; WIDTH],
            apply_b_dec_to_input: true,
            activation: Activation::MatchingPursuit {
                residual_threshold: 0.0,
                max_iterations: 4,
                stop_on_duplicate_support: false,
            },
            normalisation: Normalisation::None,
            transcoder: None,
        };
        sae.check().unwrap();
        let (training, test) = (rows(2000, 5, &directions), rows(400, 1 << 40, &directions));
        let found = pollster::block_on(held_out(&sae, &training, &test, 1, &())).unwrap();
        assert_eq!(found.rows, 400);
        assert!(found.explained > 0.95, "{found:?}");
        assert!(found.by_components < found.explained - 0.2, "{found:?}");
        assert!(found.by_random < found.explained - 0.2 && found.random_l0 > 1.0, "{found:?}");
        assert!(found.by_components > 0.0 && found.l0 > 1.5 && found.l0 <= 4.0, "{found:?}");
        // What nothing is measured on is refused.
        assert!(pollster::block_on(held_out(&sae, &training, &test[..WIDTH], 1, &())).is_err());
    }
}
