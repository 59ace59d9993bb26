//! How far two dictionaries hold the same directions.

use crate::products::{dot, products};
use crate::{Sae, SaeError};

/// Directions of the first that are compared at once with all of the second.
const ROWS: usize = 64;
/// From this cosine on, two features count as one.
pub const SAME: f32 = 0.7;

/// The features of two SAEs, each beside the one of the other that points most its way. Features that depend on the
/// seed they were trained from are no parts of the model (Paulo and Belrose 2025, "Sparse autoencoders trained on the
/// same data learn different features").
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// By feature of the first: the nearest of the second.
    pub first: Vec<Matched>,
    /// By feature of the second: the nearest of the first.
    pub second: Vec<Matched>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matched {
    pub feature: u32,
    /// Of the directions that the features write.
    pub cosine: f32,
}

impl Comparison {
    /// Pairs of which each is the other's nearest, and at least [`SAME`].
    pub fn mutual(&self) -> usize {
        let nearest = |n: usize, found: &Matched| self.second[found.feature as usize].feature as usize == n;
        self.first.iter().enumerate().filter(|(n, found)| found.cosine >= SAME && nearest(*n, found)).count()
    }
}

/// Compares the directions that two SAEs write. `progress` is told the features of the first that are done, and says
/// whether to go on: `None` where not. Errors when they write activations of different widths.
pub fn compare(
    first: &Sae,
    second: &Sae,
    mut progress: impl FnMut(usize) -> bool,
) -> Result<Option<Comparison>, SaeError> {
    let d_out = first.d_out();
    if d_out != second.d_out() {
        return Err(SaeError::Unlike { first: d_out, second: second.d_out() });
    }
    let (a, b) = (unit(first), unit(second));
    let none = Matched { feature: 0, cosine: -1.0 };
    let mut found = Comparison { first: vec![none; first.d_sae], second: vec![none; second.d_sae] };
    let take = |best: &mut Matched, feature: usize, cosine: f32| {
        if cosine > best.cosine {
            *best = Matched { feature: feature as u32, cosine };
        }
    };
    for (part, rows) in a.chunks(ROWS * d_out).enumerate() {
        let cosines = products(rows, &b, d_out);
        for (row, cosines) in cosines.chunks_exact(second.d_sae).enumerate() {
            let n = part * ROWS + row;
            for (m, &cosine) in cosines.iter().enumerate() {
                take(&mut found.first[n], m, cosine);
                take(&mut found.second[m], n, cosine);
            }
        }
        if !progress(part * ROWS + rows.len() / d_out) {
            return Ok(None);
        }
    }
    Ok(Some(found))
}

/// Directions at length 1; those of length 0 stay.
fn unit(sae: &Sae) -> Vec<f32> {
    let mut unit = sae.w_dec.clone();
    for direction in unit.chunks_exact_mut(sae.d_out()) {
        let length = dot(direction, direction).sqrt();
        if length > 0.0 {
            direction.iter_mut().for_each(|x| *x /= length);
        }
    }
    unit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::random::Random;
    use crate::{Activation, Normalisation};

    fn sae(w_dec: Vec<f32>, d_in: usize) -> Sae {
        let d_sae = w_dec.len() / d_in;
        Sae {
            d_in,
            d_sae,
            w_enc: w_dec.clone(),
            b_enc: vec![0.0; d_sae],
            w_dec,
            b_dec: vec![0.0; d_in],
            apply_b_dec_to_input: false,
            activation: Activation::Relu,
            normalisation: Normalisation::None,
            transcoder: None,
        }
    }

    #[test]
    fn features_are_matched_whatever_their_order_and_length_and_those_of_one_alone_are_not() {
        let (d_in, d_sae) = (48, 100);
        let mut random = Random::new(7);
        let rows: Vec<Vec<f32>> = (0..d_sae).map(|_| (0..d_in).map(|_| random.gaussian()).collect()).collect();
        // The second has the first's features backwards and twice as long, but for its first twenty.
        let other = (0..d_sae).flat_map(|n| match n {
            0..20 => (0..d_in).map(|_| random.gaussian()).collect::<Vec<f32>>(),
            _ => rows[d_sae - 1 - n].iter().map(|x| 2.0 * x).collect(),
        });
        let other = sae(other.collect(), d_in);
        let found = compare(&sae(rows.concat(), d_in), &other, |_| true).unwrap().unwrap();
        assert_eq!(found.mutual(), 80);
        for (n, matched) in found.first[..80].iter().enumerate() {
            assert_eq!(matched.feature as usize, d_sae - 1 - n);
            assert!((matched.cosine - 1.0).abs() < 1e-5);
        }
        assert!(found.first[80..].iter().chain(&found.second[..20]).all(|matched| matched.cosine < SAME));
        assert_eq!(compare(&other, &other, |done| done < 64).unwrap(), None);
        let error = compare(&other, &sae(vec![1.0; 10], 5), |_| true).unwrap_err().to_string();
        assert!(error.contains("48") && error.contains('5'), "{error}");
    }
}
