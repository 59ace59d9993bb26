//! Activations as the fits see them: centred, standardised where asked, and in as few coordinates as the texts span.

use super::examples::Activations;
use crate::positive_definite::{add_multiple, dot};

/// The training texts' activations in coordinates of their own.
///
/// Where the texts are far fewer than the width, they span a small part of it, and every fit here keeps to that part (its
/// penalties only measure lengths and angles). An orthonormal basis of it turns `[n, width]` into `[n, rank]`, and a fit
/// costs by the rank.
#[derive(Clone, Debug)]
pub(super) struct Features {
    texts: usize,
    pub rank: usize,
    /// `[n, rank]`.
    pub rows: Vec<f64>,
    /// Of the activations, `[width]`; what is subtracted.
    pub mean: Vec<f64>,
    /// `[width]`; what is divided by after that.
    pub scale: Vec<f64>,
    /// `None` where the coordinates are the activation's own.
    basis: Option<Basis>,
}

/// Texts whose rows span all others, and Cholesky's factor of their products: `Q = lower^-1 rows` is orthonormal.
#[derive(Clone, Debug)]
struct Basis {
    /// `[rank, width]`.
    rows: Vec<f64>,
    /// `[rank, rank]`, lower.
    lower: Vec<f64>,
}

/// What is left of a text's squared length, beside the longest text's, below which it counts as spanned: far above
/// rounding, far below what a penalised fit can see.
const SPANNED: f64 = 1e-11;

impl Features {
    /// Of the texts named. `standardised`: divided by each number's standard deviation (of the population, as
    /// scikit-learn's StandardScaler has it; a number that never changes is left).
    pub fn of(activations: &Activations, texts: &[usize], standardised: bool) -> Features {
        let (n, width) = (texts.len(), activations.width());
        let mut mean = vec![0.0; width];
        for &text in texts {
            mean.iter_mut().zip(activations.row(text)).for_each(|(mean, &x)| *mean += f64::from(x) / n as f64);
        }
        let mut rows: Vec<f64> = Vec::with_capacity(n * width);
        for &text in texts {
            rows.extend(activations.row(text).iter().zip(&mean).map(|(&x, mean)| f64::from(x) - mean));
        }
        let mut scale = vec![1.0; width];
        if standardised {
            let mut variance = vec![0.0; width];
            for row in rows.chunks_exact(width) {
                variance.iter_mut().zip(row).for_each(|(sum, x)| *sum += x * x / n as f64);
            }
            for ((scale, variance), mean) in scale.iter_mut().zip(variance).zip(&mean) {
                // Rounding makes a constant vary a little.
                if variance > (mean * 1e-7).powi(2) && variance > 0.0 {
                    *scale = variance.sqrt();
                }
            }
            for row in rows.chunks_exact_mut(width) {
                row.iter_mut().zip(&scale).for_each(|(x, scale)| *x /= scale);
            }
        }
        if 2 * n > width {
            return Features { texts: n, rank: width, rows, mean, scale, basis: None };
        }
        let (coordinates, rank, basis) = spanned(&rows, n, width);
        Features { texts: n, rank, rows: coordinates, mean, scale, basis: Some(basis) }
    }

    pub fn len(&self) -> usize {
        self.texts
    }

    pub fn width(&self) -> usize {
        self.mean.len()
    }

    pub fn row(&self, text: usize) -> &[f64] {
        &self.rows[text * self.rank..(text + 1) * self.rank]
    }

    /// A vector in these coordinates, in those of the centred (and standardised) activation: `[width]`.
    pub fn back(&self, vector: &[f64]) -> Vec<f64> {
        let Some(basis) = &self.basis else { return vector.to_vec() };
        // Q^T v = rows^T (lower^-T v).
        let (rank, width) = (self.rank, self.width());
        let mut shares = vector.to_vec();
        for i in (0..rank).rev() {
            let line = &basis.lower[i * rank..(i + 1) * rank];
            shares[i] /= line[i];
            let (before, at) = shares.split_at_mut(i);
            add_multiple(before, -at[0], &line[..i]);
        }
        let mut made = vec![0.0; width];
        for (share, row) in shares.iter().zip(basis.rows.chunks_exact(width)) {
            add_multiple(&mut made, *share, row);
        }
        made
    }

    /// `rows^T weights`: `[rank]`.
    pub fn weighted_sum(&self, weights: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; self.rank];
        for (text, &weight) in weights.iter().enumerate() {
            add_multiple(&mut sum, weight, self.row(text));
        }
        sum
    }

    /// `rows vector`: `[n]`.
    pub fn scores(&self, vector: &[f64]) -> Vec<f64> {
        (0..self.len()).map(|text| dot(self.row(text), vector)).collect()
    }
}

/// Cholesky's factor of all products of rows, with the longest that is left as the next pivot (Higham 1990): its lines
/// are the rows' coordinates in the basis of the pivots.
fn spanned(rows: &[f64], n: usize, width: usize) -> (Vec<f64>, usize, Basis) {
    let row = |i: usize| &rows[i * width..(i + 1) * width];
    let mut left: Vec<f64> = (0..n).map(|i| dot(row(i), row(i))).collect();
    let longest = left.iter().copied().fold(0.0, f64::max);
    // By pivot, the products with every row, less what earlier pivots explain: columns of the factor.
    let mut columns: Vec<Vec<f64>> = Vec::new();
    let mut pivots: Vec<usize> = Vec::new();
    while pivots.len() < n.min(width) {
        let pivot = (0..n).max_by(|&a, &b| left[a].total_cmp(&left[b])).unwrap_or(0);
        if !(left[pivot] > SPANNED * longest) {
            break;
        }
        let length = left[pivot].sqrt();
        let mut column: Vec<f64> = (0..n).map(|i| dot(row(i), row(pivot))).collect();
        for earlier in &columns {
            add_multiple(&mut column, -earlier[pivot], earlier);
        }
        column.iter_mut().for_each(|x| *x /= length);
        column[pivot] = length;
        for &earlier in &pivots {
            column[earlier] = 0.0;
        }
        left.iter_mut().zip(&column).for_each(|(left, x)| *left -= x * x);
        left[pivot] = 0.0;
        for &earlier in &pivots {
            left[earlier] = 0.0;
        }
        columns.push(column);
        pivots.push(pivot);
    }
    let rank = pivots.len();
    let line = |text: usize| columns.iter().map(move |column| column[text]);
    let coordinates = (0..n).flat_map(line).collect();
    let lower = pivots.iter().flat_map(|&pivot| line(pivot)).collect();
    let pivot_rows = pivots.iter().flat_map(|&pivot| row(pivot).iter().copied()).collect();
    (coordinates, rank, Basis { rows: pivot_rows, lower })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steer::random_direction;

    fn activations(n: usize, width: usize) -> Activations {
        Activations::new(width, (0..n).flat_map(|i| random_direction(i as u64, width)).collect())
    }

    #[test]
    fn few_texts_keep_their_products_in_few_coordinates() {
        // One text twice, one the mean of all, so that the span is smaller than the texts are many.
        let mut given = activations(12, 40);
        let copy = given.row(3).to_vec();
        given.row_mut(4).copy_from_slice(&copy);
        let texts: Vec<usize> = (0..12).collect();
        for standardised in [false, true] {
            let few = Features::of(&given, &texts, standardised);
            assert_eq!(few.rank, 10, "twelve texts, one of them twice, around their mean");
            let whole = |text: usize| -> Vec<f64> {
                let x = given.row(text).iter().zip(&few.mean).zip(&few.scale);
                x.map(|((&x, mean), scale)| (f64::from(x) - mean) / scale).collect()
            };
            for a in 0..12 {
                assert!(few.back(few.row(a)).iter().zip(whole(a)).all(|(x, y)| (x - y).abs() < 1e-9));
                for b in 0..12 {
                    assert!((dot(few.row(a), few.row(b)) - dot(&whole(a), &whole(b))).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn standardised_numbers_have_unit_variance_and_constants_stay() {
        let mut given = activations(50, 8);
        (0..50).for_each(|text| given.row_mut(text)[5] = 0.1);
        let texts: Vec<usize> = (0..50).collect();
        let made = Features::of(&given, &texts, true);
        for column in 0..8 {
            let square: f64 = (0..50).map(|text| made.row(text)[column].powi(2)).sum();
            let expected = if column == 5 { 0.0 } else { 1.0 };
            assert!((square / 50.0 - expected).abs() < 1e-9, "column {column}: {square}");
        }
    }
}
