//! The directions along which activations vary most.

use crate::InterpError;
use crate::products::dot;
use crate::steer::random_direction;
use tiller_engine::{Controls, EngineError};

/// Each turns what was found nearer to the eigenvectors, by the ratio of neighbouring eigenvalues; what of the variance is
/// then still missed is far below what the baseline is compared by.
const ITERATIONS: usize = 40;
/// Rows between two looks at whether to stop.
const ROWS: usize = 256;

/// The mean of the rows `[n, width]`, and `components` orthonormal directions along which they vary most,
/// `[components, width]`, the first most: eigenvectors of the covariance by orthogonal iteration (Golub and Van Loan,
/// "Matrix Computations", section 8.2.4). No more than `width` are found. Errors where the work was cancelled.
pub(super) async fn principal_subspace(
    rows: &[f32],
    width: usize,
    components: usize,
    controls: &impl Controls,
) -> Result<(Vec<f64>, Vec<Vec<f64>>), InterpError> {
    let n = (rows.len() / width).max(1) as f64;
    let mut mean = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / n);
    }
    // The lower half: entry (i, j) for j <= i.
    let mut covariance = vec![0.0; width * width];
    for rows in rows.chunks(ROWS * width) {
        rest(controls).await?;
        for row in rows.chunks_exact(width) {
            let centred: Vec<f64> = row.iter().zip(&mean).map(|(&x, mean)| f64::from(x) - mean).collect();
            for (i, &x) in centred.iter().enumerate() {
                let sums = &mut covariance[i * width..i * width + i + 1];
                sums.iter_mut().zip(&centred).for_each(|(sum, &y)| *sum += x * y);
            }
        }
    }
    for i in 0..width {
        for j in 0..i {
            covariance[j * width + i] = covariance[i * width + j];
        }
    }

    let components = components.min(width);
    let start = |n: usize| random_direction(n as u64, width).into_iter().map(f64::from).collect();
    let mut found: Vec<Vec<f64>> = (0..components).map(start).collect();
    for _ in 0..ITERATIONS {
        rest(controls).await?;
        for direction in &mut found {
            let image: Vec<f64> = covariance.chunks_exact(width).map(|row| dot(row, direction)).collect();
            // Where the rows vary no further, any direction is as good.
            if dot(&image, &image) > 0.0 {
                *direction = image;
            }
        }
        orthonormalise(&mut found);
    }
    Ok((mean, found))
}

async fn rest(controls: &impl Controls) -> Result<(), InterpError> {
    controls.pause().await;
    if controls.cancelled() { Err(EngineError::Cancelled.into()) } else { Ok(()) }
}

/// Gram and Schmidt's, twice: what is left after once is as small as rounding makes it.
fn orthonormalise(vectors: &mut [Vec<f64>]) {
    for n in 0..vectors.len() {
        let (before, rest) = vectors.split_at_mut(n);
        let vector = &mut rest[0];
        for _ in 0..2 {
            let length = dot(vector, vector).sqrt().max(f64::MIN_POSITIVE);
            vector.iter_mut().for_each(|x| *x /= length);
            for other in before.iter() {
                let along = dot(other, vector);
                vector.iter_mut().zip(other).for_each(|(x, o)| *x -= along * o);
            }
        }
        let length = dot(vector, vector).sqrt().max(f64::MIN_POSITIVE);
        vector.iter_mut().for_each(|x| *x /= length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directions_of_most_variance_are_found_in_their_order() {
        // Rows of independent numbers in a rotated frame, whose spread falls by a quarter from one to the next.
        let width = 24;
        let mut frame: Vec<Vec<f64>> =
            (0..width).map(|n| random_direction(n as u64, width).into_iter().map(f64::from).collect()).collect();
        orthonormalise(&mut frame);
        let mut rows = Vec::new();
        for row in 0..4000u64 {
            let numbers = random_direction(1000 + row, width);
            for column in 0..width {
                let value: f64 =
                    (0..width).map(|n| f64::from(numbers[n]) * 0.75f64.powi(n as i32) * frame[n][column]).sum();
                rows.push((value + 3.0) as f32);
            }
        }
        let (mean, found) = pollster::block_on(principal_subspace(&rows, width, 5, &())).unwrap();
        assert!(mean.iter().all(|mean| (mean - 3.0).abs() < 0.01), "{mean:?}");
        for (n, direction) in found.iter().enumerate() {
            assert!(dot(direction, &frame[n]).abs() > 0.98, "component {n}");
            for other in &found[..n] {
                assert!(dot(direction, other).abs() < 1e-12);
            }
        }
        let all = pollster::block_on(principal_subspace(&rows, width, 99, &())).unwrap().1;
        assert_eq!(all.len(), width);
    }
}
