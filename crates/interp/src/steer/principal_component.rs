//! The first principal component of a few rows in many dimensions.

use crate::products::dot;

/// The direction `[width]`, of unit length, along which `rows` (`[n, width]`) have the largest sum of squares, and its
/// share of the whole sum of squares. To get the variance's, take the mean off the rows before. `None` where all rows
/// are zero.
///
/// The component is `A^T u` for the largest eigenvector u of the Gram matrix `A A^T`, which is small: there are fewer
/// rows than dimensions. The sign is not determined.
pub fn first_component(rows: &[Vec<f64>]) -> Option<(Vec<f64>, f64)> {
    let n = rows.len();
    let mut gram = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let product = dot(&rows[i], &rows[j]);
            (gram[i * n + j], gram[j * n + i]) = (product, product);
        }
    }
    let total: f64 = (0..n).map(|i| gram[i * n + i]).sum();
    if !(total > 0.0 && total.is_finite()) {
        return None;
    }
    let (eigenvalue, vector) = largest_eigenpair(&gram, n);
    let mut component = vec![0.0; rows[0].len()];
    for (row, &weight) in rows.iter().zip(&vector) {
        component.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x);
    }
    let length = dot(&component, &component).sqrt();
    component.iter_mut().for_each(|x| *x /= length);
    Some((component, eigenvalue / total))
}

/// Vectors of the Krylov space between restarts.
const STEPS: usize = 24;
/// Restarts after which the best vector so far has to do. Each brings it nearer by a large factor, unless the two
/// largest eigenvalues are equal to many digits; then either is as good an answer.
const RESTARTS: usize = 60;
/// The eigenvector's residual at which it is taken, as a share of the eigenvalue.
const ACCURACY: f64 = 1e-13;

/// The largest eigenvalue of a symmetric matrix without negative ones, `[n, n]`, and its unit eigenvector.
///
/// Lanczos's method with every vector made orthogonal to all before, restarted from the best vector found (Golub and
/// Van Loan, "Matrix Computations", chapter 10).
fn largest_eigenpair(matrix: &[f64], n: usize) -> (f64, Vec<f64>) {
    // Whatever the eigenvector is, it is not orthogonal to numbers that follow no pattern of the matrix.
    let mut start: Vec<f64> = (0..n).map(|i| 1.0 + (i as f64 * 1.7 + 0.3).sin()).collect();
    let mut eigenvalue = 0.0;
    for _ in 0..RESTARTS {
        let basis = krylov_basis(matrix, n, &start);
        let k = basis.len();
        let mut projected = vec![0.0; k * k];
        for (j, vector) in basis.iter().enumerate() {
            let image = times(matrix, n, vector);
            for (i, other) in basis.iter().enumerate() {
                projected[i * k + j] = dot(other, &image);
            }
        }
        let (value, weights) = largest_by_rotations(projected, k);
        eigenvalue = value;
        start = vec![0.0; n];
        for (vector, weight) in basis.iter().zip(weights) {
            start.iter_mut().zip(vector).for_each(|(sum, x)| *sum += weight * x);
        }
        let image = times(matrix, n, &start);
        let off: f64 = image.iter().zip(&start).map(|(a, x)| (a - value * x).powi(2)).sum();
        if off.sqrt() <= ACCURACY * value {
            break;
        }
    }
    (eigenvalue, start)
}

/// Orthonormal vectors that span `start`, `M start`, `M^2 start`, ..: as many as [`STEPS`], or as there are.
fn krylov_basis(matrix: &[f64], n: usize, start: &[f64]) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let mut next = start.to_vec();
    while basis.len() < STEPS.min(n) {
        let before = dot(&next, &next).sqrt();
        // Twice: what is left after once is as small as rounding makes it.
        for _ in 0..2 {
            for vector in &basis {
                let along = dot(vector, &next);
                next.iter_mut().zip(vector).for_each(|(x, v)| *x -= along * v);
            }
        }
        let length = dot(&next, &next).sqrt();
        if length <= before * 1e-14 {
            break;
        }
        next.iter_mut().for_each(|x| *x /= length);
        let image = times(matrix, n, &next);
        basis.push(std::mem::replace(&mut next, image));
    }
    basis
}

/// The largest eigenvalue of a small symmetric matrix and its unit eigenvector, by Jacobi's rotations.
fn largest_by_rotations(mut a: Vec<f64>, k: usize) -> (f64, Vec<f64>) {
    let mut vectors: Vec<f64> = (0..k * k).map(|at| f64::from(u8::from(at / k == at % k))).collect();
    for _ in 0..50 {
        let off: f64 = (0..k * k).filter(|at| at / k != at % k).map(|at| a[at] * a[at]).sum();
        let size: f64 = a.iter().map(|x| x * x).sum();
        if off <= size * 1e-30 {
            break;
        }
        for p in 0..k {
            for q in p + 1..k {
                rotate(&mut a, &mut vectors, k, p, q);
            }
        }
    }
    let largest = (0..k).max_by(|&i, &j| a[i * k + i].total_cmp(&a[j * k + j])).unwrap_or(0);
    (a[largest * k + largest], (0..k).map(|i| vectors[i * k + largest]).collect())
}

/// Makes entry (p, q) zero.
fn rotate(a: &mut [f64], vectors: &mut [f64], k: usize, p: usize, q: usize) {
    let entry = a[p * k + q];
    if entry == 0.0 {
        return;
    }
    let theta = (a[q * k + q] - a[p * k + p]) / (2.0 * entry);
    let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let cos = 1.0 / t.hypot(1.0);
    let sin = t * cos;
    for i in 0..k {
        let (x, y) = (a[i * k + p], a[i * k + q]);
        (a[i * k + p], a[i * k + q]) = (cos * x - sin * y, sin * x + cos * y);
    }
    for i in 0..k {
        let (x, y) = (a[p * k + i], a[q * k + i]);
        (a[p * k + i], a[q * k + i]) = (cos * x - sin * y, sin * x + cos * y);
        let (x, y) = (vectors[i * k + p], vectors[i * k + q]);
        (vectors[i * k + p], vectors[i * k + q]) = (cos * x - sin * y, sin * x + cos * y);
    }
}

fn times(matrix: &[f64], n: usize, x: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(n).map(|row| dot(row, x)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steer::random_direction;

    fn random(seed: u64, width: usize) -> Vec<f64> {
        random_direction(seed, width).into_iter().map(f64::from).collect()
    }

    #[test]
    fn planted_components_are_found_at_every_size() {
        for (n, width) in [(1, 3), (2, 50), (7, 5), (40, 64), (130, 300)] {
            let planted = random(1000, width);
            let row = |i: usize| {
                let noise = random(i as u64, width);
                let weight = 3.0 * (i as f64 + 1.0).sin();
                noise.iter().zip(&planted).map(|(x, p)| 0.1 * x + weight * p).collect::<Vec<f64>>()
            };
            let rows: Vec<Vec<f64>> = (0..n).map(row).collect();
            let (found, share) = first_component(&rows).unwrap();
            assert!((dot(&found, &found) - 1.0).abs() < 1e-12);
            assert!(dot(&found, &planted).abs() > 0.99 && share > 0.9, "{n} by {width}: {share}");
        }
    }

    #[test]
    fn nothing_lies_further_along_any_other_direction() {
        // Rows without structure: the eigenvalues are near one another, and the residual says whether it is one.
        let rows: Vec<Vec<f64>> = (0..60).map(|i| random(i, 90)).collect();
        let (found, share) = first_component(&rows).unwrap();
        let scores: Vec<f64> = rows.iter().map(|row| dot(row, &found)).collect();
        let mut image = vec![0.0; 90];
        for (row, score) in rows.iter().zip(&scores) {
            image.iter_mut().zip(row).for_each(|(sum, x)| *sum += score * x);
        }
        let value: f64 = scores.iter().map(|s| s * s).sum();
        assert!(image.iter().zip(&found).all(|(a, x)| (a - value * x).abs() < 1e-9), "it is an eigenvector");
        assert!((share - value / 60.0).abs() < 1e-9, "all rows have length one");
        for seed in 0..200 {
            let other = random(5000 + seed, 90);
            assert!(rows.iter().map(|row| dot(row, &other).powi(2)).sum::<f64>() < value);
        }
    }

    #[test]
    fn zeros_have_no_component() {
        assert_eq!(first_component(&[]), None);
        assert_eq!(first_component(&[vec![0.0; 4], vec![0.0; 4]]), None);
        assert_eq!(first_component(&[vec![f64::NAN; 4]]), None);
    }
}
