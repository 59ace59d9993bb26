//! The activations that an SAE is judged by.

use super::PlacedSae;
use super::placed::Activations;

/// The activations that count, `[n, width]`.
pub(super) struct Rows {
    pub read: Vec<f32>,
    pub target: Vec<f32>,
    /// Text and position of each.
    pub places: Vec<(usize, u32)>,
    pub left_out: usize,
}

impl Rows {
    /// All but each text's first, and those longer than `longest` times the median.
    pub fn kept(found: &[Activations], d_in: usize, d_out: usize, longest: Option<f64>) -> Rows {
        let length = |row: &[f32]| row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let of_text =
            |of_text: &Activations| of_text.target.chunks_exact(d_out).skip(1).map(length).collect::<Vec<_>>();
        let mut lengths: Vec<f64> = found.iter().flat_map(of_text).collect();
        lengths.sort_unstable_by(f64::total_cmp);
        let median = lengths.get(lengths.len() / 2).copied().unwrap_or(0.0);
        let bound = longest.map_or(f64::INFINITY, |longest| longest * median);
        let mut rows = Rows { read: Vec::new(), target: Vec::new(), places: Vec::new(), left_out: 0 };
        for (text, of_text) in found.iter().enumerate() {
            let both = of_text.read.chunks_exact(d_in).zip(of_text.target.chunks_exact(d_out));
            for (position, (read, target)) in (0..).zip(both).skip(1) {
                if length(target) > bound {
                    rows.left_out += 1;
                    continue;
                }
                rows.read.extend_from_slice(read);
                rows.target.extend_from_slice(target);
                rows.places.push((text, position));
            }
        }
        rows
    }

    pub fn reconstruct(&self, sae: &PlacedSae<'_>, features: &[Vec<(u32, f32)>]) -> Vec<f32> {
        let rows = self.read.chunks_exact(sae.sae.d_in).zip(self.target.chunks_exact(sae.sae.d_out()));
        rows.zip(features).flat_map(|((x, target), features)| sae.reconstruct(features, x, target)).collect()
    }

    /// A text's rows of `reconstructed`, by position.
    pub fn of_text(&self, text: usize, reconstructed: &[f32]) -> Vec<(u32, Vec<f32>)> {
        let width = reconstructed.len() / self.places.len();
        let placed = self.places.iter().zip(reconstructed.chunks_exact(width));
        placed.filter(|((of, _), _)| *of == text).map(|((_, position), row)| (*position, row.to_vec())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_great_length_and_first_ones_are_left_out() {
        let text = Activations { read: vec![], target: vec![99.0, 1.0, 1.0, 2.0, 50.0] };
        let text = Activations { read: text.target.clone(), ..text };
        let rows = Rows::kept(&[text], 1, 1, Some(4.0));
        assert_eq!((rows.places, rows.left_out), (vec![(0, 1), (0, 2), (0, 3)], 1));
    }
}
