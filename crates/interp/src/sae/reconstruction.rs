//! How near reconstructions are to what they are of.

/// `sum |x - x'|^2 / sum |x - mean x|^2`.
pub(super) fn unexplained(reconstructed: &[f32], rows: &[f32], width: usize) -> f64 {
    let n = (rows.len() / width) as f64;
    let mut mean = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / n);
    }
    let (mut left, mut all) = (0.0, 0.0);
    for (x, r) in rows.chunks_exact(width).zip(reconstructed.chunks_exact(width)) {
        for i in 0..width {
            left += (f64::from(x[i]) - f64::from(r[i])).powi(2);
            all += (f64::from(x[i]) - mean[i]).powi(2);
        }
    }
    if all > 0.0 { left / all } else { 0.0 }
}

/// `|x'| / |x|`, mean over rows.
pub(super) fn length_ratio(reconstructed: &[f32], rows: &[f32], width: usize) -> f64 {
    let length = |row: &[f32]| row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let both = rows.chunks_exact(width).zip(reconstructed.chunks_exact(width));
    let ratios: Vec<f64> =
        both.map(|(x, r)| (length(x), length(r))).filter(|(x, _)| *x > 0.0).map(|(x, r)| r / x).collect();
    ratios.iter().sum::<f64>() / ratios.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unexplained_variance_is_of_what_varies() {
        let rows = [1.0, 10.0, 3.0, 10.0f32];
        assert_eq!(unexplained(&rows, &rows, 2), 0.0);
        assert_eq!(unexplained(&[2.0, 10.0, 2.0, 10.0], &rows, 2), 1.0);
        assert_eq!(unexplained(&[1.5, 10.0, 2.5, 10.0], &rows, 2), 0.25);
        assert!((length_ratio(&[0.5, 5.0, 3.0, 10.0], &rows, 2) - 0.75).abs() < 1e-12);
    }
}
