//! Encoding by gradient pursuit: how well a dictionary could write activations down, whatever its own encoder finds.

use crate::products::{dot, products};
use crate::{Features, Sae};

/// One activation that is being written down.
struct Pursued {
    /// What is not written yet, `[d_out]`.
    rest: Vec<f32>,
    /// Features, and what each writes of its direction at length 1.
    found: Vec<(usize, f32)>,
    /// Features that may be found.
    most: usize,
}

impl Sae {
    /// The features of targets `[n, d_out]` by gradient pursuit (Blumensath and Davies 2008, "Gradient Pursuits"; Engels et
    /// al. 2024 re-encode SAEs so), as many of each as `most` says, or fewer where none is left that helps. Features stay
    /// above 0, as an SAE's do.
    ///
    /// A step takes in the feature along whose direction most of the rest lies, then moves all that were taken in along
    /// the gradient, by the step that brings the rest down furthest. The targets are those of [`Sae::unbiased`].
    pub fn pursue_gradient(&self, targets: &[f32], most: &[usize]) -> Vec<Features> {
        let d_out = self.d_out();
        assert_eq!(targets.len(), most.len() * d_out, "as many targets as counts");
        let lengths: Vec<f32> = self.w_dec.chunks_exact(d_out).map(|d| dot(d, d).sqrt()).collect();
        let mut unit = self.w_dec.clone();
        for (direction, &length) in unit.chunks_exact_mut(d_out).zip(&lengths).filter(|(_, length)| **length > 0.0) {
            direction.iter_mut().for_each(|x| *x /= length);
        }
        let begin = |(target, &most): (&[f32], &usize)| Pursued { rest: target.to_vec(), found: Vec::new(), most };
        let mut pursued: Vec<Pursued> = targets.chunks_exact(d_out).zip(most).map(begin).collect();
        for step in 0..most.iter().copied().max().unwrap_or(0) {
            // Together, so that each direction is read once for all.
            let mut open: Vec<&mut Pursued> = pursued.iter_mut().filter(|row| step < row.most).collect();
            let rests: Vec<f32> = open.iter().flat_map(|row| row.rest.iter().copied()).collect();
            let along = products(&rests, &unit, d_out);
            for (row, along) in open.iter_mut().zip(along.chunks_exact(self.d_sae)) {
                if !row.step(along, &unit) {
                    row.most = 0;
                }
            }
        }
        let features = |row: Pursued| {
            let scaled = |(feature, value): (usize, f32)| (feature as u32, value / lengths[feature]);
            let mut features: Features = row.found.into_iter().filter(|f| f.1 > 0.0).map(scaled).collect();
            features.sort_unstable_by_key(|&(feature, _)| feature);
            features
        };
        pursued.into_iter().map(features).collect()
    }
}

impl Pursued {
    /// Takes in a feature. `along`: the rest's product with each direction. False where none is left that helps.
    fn step(&mut self, along: &[f32], unit: &[f32]) -> bool {
        let d_out = self.rest.len();
        let is_new = |feature: &usize| self.found.iter().all(|(taken, _)| taken != feature);
        let new = (0..along.len()).filter(|n| along[*n] > 0.0).filter(is_new);
        let Some(new) = new.max_by(|&a, &b| along[a].total_cmp(&along[b]).then(b.cmp(&a))) else { return false };
        self.found.push((new, 0.0));
        let mut written = vec![0.0; d_out];
        for &(feature, _) in &self.found {
            let direction = &unit[feature * d_out..(feature + 1) * d_out];
            written.iter_mut().zip(direction).for_each(|(sum, d)| *sum += along[feature] * d);
        }
        let square = dot(&written, &written);
        let step = if square > 0.0 { dot(&written, &self.rest) / square } else { return false };
        for (feature, value) in &mut self.found {
            let moved = (*value + step * along[*feature]).max(0.0);
            let direction = &unit[*feature * d_out..(*feature + 1) * d_out];
            self.rest.iter_mut().zip(direction).for_each(|(rest, d)| *rest -= (moved - *value) * d);
            *value = moved;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::train::random::Random;
    use crate::{Activation, Normalisation, Sae};

    fn tied(directions: Vec<f32>, d_in: usize, k: usize) -> Sae {
        let d_sae = directions.len() / d_in;
        Sae {
            d_in,
            d_sae,
            w_enc: directions.clone(),
            b_enc: vec![0.0; d_sae],
            w_dec: directions,
            b_dec: vec![0.0; d_in],
            apply_b_dec_to_input: false,
            activation: Activation::TopK { k },
            normalisation: Normalisation::None,
            transcoder: None,
        }
    }

    fn unexplained(sae: &Sae, rows: &[f32], features: &[crate::Features]) -> f32 {
        let squares = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>();
        let left = rows.chunks_exact(sae.d_in).zip(features).map(|(x, features)| {
            let written = sae.decode(features, x);
            x.iter().zip(written).map(|(x, y)| (x - y).powi(2)).sum::<f32>()
        });
        left.sum::<f32>() / squares(rows)
    }

    #[test]
    fn features_that_overlap_are_told_apart_where_one_look_cannot() {
        // Siblings share half of their square: 40 directions of 32 numbers, 4 at once.
        let mut random = Random::new(1);
        let shared: Vec<f32> = (0..8 * 32).map(|_| random.gaussian()).collect();
        let mut directions: Vec<f32> =
            (0..40 * 32).map(|i| shared[i / 32 % 8 * 32 + i % 32] + random.gaussian()).collect();
        directions.chunks_exact_mut(32).for_each(|d| {
            let length = d.iter().map(|x| x * x).sum::<f32>().sqrt();
            d.iter_mut().for_each(|x| *x /= length);
        });
        let mut rows = vec![0.0; 200 * 32];
        for row in rows.chunks_exact_mut(32) {
            for _ in 0..4 {
                let (feature, size) = (random.below(40), 1.0 + random.uniform() as f32);
                row.iter_mut().zip(&directions[feature * 32..]).for_each(|(x, d)| *x += size * d);
            }
        }
        let sae = tied(directions, 32, 4);
        let at_once = unexplained(&sae, &rows, &sae.encode_rows(&rows));
        let pursued = sae.pursue_gradient(&rows, &[4; 200]);
        let by_pursuit = unexplained(&sae, &rows, &pursued);
        assert!(pursued.iter().all(|features| features.len() <= 4 && features.iter().all(|f| f.1 > 0.0)));
        assert!(by_pursuit < 0.3 * at_once, "{by_pursuit} against {at_once}");
    }

    #[test]
    fn orthogonal_directions_of_any_length_are_found_exactly() {
        let mut directions = vec![0.0; 6 * 6];
        (0..6).for_each(|i| directions[i * 6 + i] = 0.5 + i as f32);
        let sae = tied(directions, 6, 6);
        let x = [1.0, 0.0, 2.5, -3.0, 0.0, 11.0];
        // The largest comes first; what is below 0 is no feature.
        assert_eq!(sae.pursue_gradient(&x, &[1]), [[(5, 2.0)]]);
        assert_eq!(sae.pursue_gradient(&x, &[6]), [[(0, 2.0), (2, 1.0), (5, 2.0)]]);
        assert_eq!(sae.pursue_gradient(&x, &[0]), [[]]);
    }
}
