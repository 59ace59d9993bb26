//! Which features are active on the same tokens, and how values of one are spread.

use serde::Serialize;

/// Features of some tokens, by token and by feature.
pub struct CoActivity<'a> {
    by_feature: &'a [Vec<(u32, f32)>],
    by_token: Vec<Vec<u32>>,
}

/// A feature that is active on tokens of another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Together {
    pub feature: u32,
    /// Tokens on which both are active, over those on which either is.
    pub jaccard: f64,
    /// Tokens on which both are active, over those that would be if neither knew of the other.
    pub lift: f64,
}

impl<'a> CoActivity<'a> {
    /// `by_feature`: at which of `tokens` tokens each feature is active, and how much.
    pub fn new(by_feature: &'a [Vec<(u32, f32)>], tokens: usize) -> CoActivity<'a> {
        let mut by_token = vec![Vec::new(); tokens];
        for (feature, rows) in (0u32..).zip(by_feature) {
            rows.iter().for_each(|&(row, _)| by_token[row as usize].push(feature));
        }
        CoActivity { by_feature, by_token }
    }

    /// The features with the largest Jaccard index with `feature`, descending, of those that meet it more often than by
    /// chance; of equal ones the lower number first.
    pub fn of(&self, feature: usize, count: usize) -> Vec<Together> {
        let mut both = vec![0u32; self.by_feature.len()];
        for &(row, _) in &self.by_feature[feature] {
            self.by_token[row as usize].iter().for_each(|&other| both[other as usize] += 1);
        }
        let own = self.by_feature[feature].len() as f64;
        let tokens = self.by_token.len() as f64;
        let found = (0u32..).zip(&both).filter(|&(other, &both)| both > 0 && other as usize != feature);
        let found = found.map(|(other, &both)| {
            let (both, others) = (f64::from(both), self.by_feature[other as usize].len() as f64);
            Together { feature: other, jaccard: both / (own + others - both), lift: both * tokens / (own * others) }
        });
        let mut found: Vec<Together> = found.filter(|found| found.lift > 1.0).collect();
        found.sort_by(|a, b| b.jaccard.total_cmp(&a.jaccard).then(a.feature.cmp(&b.feature)));
        found.truncate(count);
        found
    }
}

/// How many of the values lie in each of `bins` equal parts of what is between 0 and `max`. What is above it counts in the
/// last.
pub fn histogram(values: impl Iterator<Item = f32>, max: f32, bins: usize) -> Vec<u32> {
    let mut counts = vec![0; bins];
    for value in values.filter(|value| *value > 0.0) {
        let bin = if max > 0.0 { (value / max * bins as f32) as usize } else { 0 };
        counts[bin.min(bins - 1)] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_that_meet_are_neighbours_in_the_order_of_what_they_share() {
        let at = |rows: &[u32]| rows.iter().map(|&row| (row, 1.0)).collect::<Vec<_>>();
        // Of ten tokens: 1 shares 3 of 4 with 0; 2 is on all; 3 shares 1 of 6; 4 none.
        let every: Vec<u32> = (0..10).collect();
        let by_feature = [at(&[0, 1, 2]), at(&[0, 1, 2, 3]), at(&every), at(&[2, 7, 8, 9]), at(&[5])];
        let all = CoActivity::new(&by_feature, 10);
        // What is always active meets everything, and no oftener than by chance; so does what meets it.
        let found: Vec<(u32, f64)> = all.of(0, 5).into_iter().map(|f| (f.feature, f.jaccard)).collect();
        assert_eq!(found, [(1, 0.75)]);
        assert!((all.of(0, 5)[0].lift - 2.5).abs() < 1e-12);
        assert_eq!(all.of(4, 5), []);
        assert_eq!(all.of(1, 1)[0].feature, 0);
    }

    #[test]
    fn a_histogram_holds_every_value_once() {
        assert_eq!(histogram([0.1, 0.9, 1.0, 3.9, 4.0, 0.0, 9.0].into_iter(), 4.0, 4), [2, 1, 0, 3]);
        assert_eq!(histogram([1.0].into_iter(), 0.0, 2), [1, 0]);
    }
}
