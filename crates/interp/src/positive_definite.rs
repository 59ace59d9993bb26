//! Symmetric positive definite matrices: products, Cholesky's factor, and solving by it.

/// Numbers that are summed side by side, so that the compiler uses vector instructions.
const LANES: usize = 8;

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a_whole, b_whole) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = a_whole.remainder().iter().zip(b_whole.remainder()).map(|(a, b)| a * b).sum();
    let mut sums = [0.0; LANES];
    for (a, b) in a_whole.zip(b_whole) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// `y += factor * x`.
pub(crate) fn add_multiple(y: &mut [f64], factor: f64, x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}

/// `rows^T rows` of a `[n, width]` matrix: `[width, width]`, of which the lower triangle is filled.
pub(crate) fn gram_of_columns(rows: &[f64], width: usize) -> Vec<f64> {
    /// Rows that are added at once: each entry of the result is read and written once for all of them.
    const AT_ONCE: usize = 4;
    let mut gram = vec![0.0; width * width];
    let mut blocks = rows.chunks_exact(AT_ONCE * width);
    for block in &mut blocks {
        let (a, rest) = block.split_at(width);
        let (b, rest) = rest.split_at(width);
        let (c, d) = rest.split_at(width);
        for i in 0..width {
            let (fa, fb, fc, fd) = (a[i], b[i], c[i], d[i]);
            let line = &mut gram[i * width..i * width + i + 1];
            let (a, b, c, d) = (&a[..=i], &b[..=i], &c[..=i], &d[..=i]);
            for j in 0..line.len() {
                line[j] += (fa * a[j] + fb * b[j]) + (fc * c[j] + fd * d[j]);
            }
        }
    }
    for row in blocks.remainder().chunks_exact(width) {
        for i in 0..width {
            add_multiple(&mut gram[i * width..i * width + i + 1], row[i], &row[..=i]);
        }
    }
    gram
}

/// Cholesky's lower factor L of a matrix `A = L L^T`.
#[derive(Clone, Debug)]
pub(crate) struct Factor {
    n: usize,
    /// `[n, n]`, of which the lower triangle counts.
    lower: Vec<f64>,
}

impl Factor {
    /// Of a `[n, n]` matrix, whose lower triangle is read. `None` where it is not positive definite.
    pub fn of(mut matrix: Vec<f64>, n: usize) -> Option<Factor> {
        for i in 0..n {
            let (above, below) = matrix.split_at_mut(i * n);
            let line = &mut below[..n];
            for j in 0..i {
                let other = &above[j * n..j * n + j + 1];
                line[j] = (line[j] - dot(&line[..j], &other[..j])) / other[j];
            }
            let pivot = line[i] - dot(&line[..i], &line[..i]);
            if !(pivot > 0.0 && pivot.is_finite()) {
                return None;
            }
            line[i] = pivot.sqrt();
        }
        Some(Factor { n, lower: matrix })
    }

    /// `ln |A|`.
    pub fn log_determinant(&self) -> f64 {
        2.0 * (0..self.n).map(|i| self.lower[i * self.n + i].ln()).sum::<f64>()
    }

    /// x of `A x = b`.
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b.to_vec();
        for i in 0..self.n {
            let line = &self.lower[i * self.n..];
            x[i] = (x[i] - dot(&line[..i], &x[..i])) / line[i];
        }
        for i in (0..self.n).rev() {
            let line = &self.lower[i * self.n..];
            x[i] /= line[i];
            let (before, at) = x.split_at_mut(i);
            add_multiple(before, -at[0], &line[..i]);
        }
        x
    }
}

/// x of `A x = b` by conjugate gradients (Hestenes and Stiefel 1952), `precondition` a solver of a matrix near A. Stops at a
/// residual of `tolerance` times b's length, or after `steps`.
pub(crate) fn conjugate_gradients(
    apply: impl Fn(&[f64]) -> Vec<f64>,
    precondition: impl Fn(&[f64]) -> Vec<f64>,
    b: &[f64],
    tolerance: f64,
    steps: usize,
) -> Vec<f64> {
    let mut x = vec![0.0; b.len()];
    let mut residual = b.to_vec();
    let enough = dot(b, b) * tolerance * tolerance;
    let mut preconditioned = precondition(&residual);
    let mut direction = preconditioned.clone();
    let mut along = dot(&residual, &preconditioned);
    for _ in 0..steps {
        if dot(&residual, &residual) <= enough {
            break;
        }
        let image = apply(&direction);
        let curvature = dot(&direction, &image);
        if !(curvature > 0.0) {
            break;
        }
        let step = along / curvature;
        add_multiple(&mut x, step, &direction);
        add_multiple(&mut residual, -step, &image);
        preconditioned = precondition(&residual);
        let next = dot(&residual, &preconditioned);
        let kept = next / along;
        along = next;
        direction.iter_mut().zip(&preconditioned).for_each(|(d, p)| *d = p + kept * *d);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steer::random_direction;

    fn rows(n: usize, width: usize) -> Vec<f64> {
        (0..n).flat_map(|i| random_direction(i as u64, width)).map(f64::from).collect()
    }

    /// `rows^T rows + I`, whole.
    fn matrix(rows: &[f64], width: usize) -> Vec<f64> {
        let entry = |i: usize, j: usize| rows.chunks_exact(width).map(|row| row[i] * row[j]).sum::<f64>();
        let identity = |i: usize, j: usize| f64::from(u8::from(i == j));
        (0..width * width).map(|at| entry(at / width, at % width) + identity(at / width, at % width)).collect()
    }

    #[test]
    fn a_factor_solves_and_so_do_conjugate_gradients() {
        for (n, width) in [(3, 1), (5, 7), (30, 21)] {
            let rows = rows(n, width);
            let full = matrix(&rows, width);
            let mut gram = gram_of_columns(&rows, width);
            (0..width).for_each(|i| gram[i * width + i] += 1.0);
            for i in 0..width {
                for j in 0..=i {
                    assert!((gram[i * width + j] - full[i * width + j]).abs() < 1e-12);
                }
            }
            let b: Vec<f64> = (0..width).map(|i| (i as f64).sin() + 0.1).collect();
            let apply = |x: &[f64]| full.chunks_exact(width).map(|row| dot(row, x)).collect::<Vec<f64>>();
            let by_steps = conjugate_gradients(apply, <[f64]>::to_vec, &b, 1e-12, 500);
            for x in [Factor::of(gram, width).unwrap().solve(&b), by_steps] {
                assert!(apply(&x).iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-10), "{n} by {width}");
            }
        }
    }

    #[test]
    fn what_is_not_positive_definite_has_no_factor() {
        assert!(Factor::of(vec![1.0, 0.0, 2.0, 1.0], 2).is_none());
        assert!(Factor::of(vec![f64::NAN], 1).is_none());
    }
}
