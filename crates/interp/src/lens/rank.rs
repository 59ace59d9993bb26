//! Tokens of a distribution by their probability.

use crate::log_softmax::LogSoftmax;
use serde::Serialize;

/// A token and the natural logarithm of its probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TokenProbability {
    pub token: u32,
    pub log_prob: f64,
}

/// A token, and where it stands among all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RankedToken {
    pub token: u32,
    pub log_prob: f64,
    /// 1 for the most probable; one more than the tokens that are more probable.
    pub rank: u32,
}

impl RankedToken {
    /// Of `token`, which is in the vocabulary.
    pub fn of(distribution: &LogSoftmax, token: u32) -> RankedToken {
        let own = distribution.logits()[token as usize];
        let before = distribution.logits().iter().filter(|&&logit| logit > own).count();
        RankedToken { token, log_prob: distribution.at(token as usize), rank: before as u32 + 1 }
    }
}

/// The `count` most probable tokens, descending; of equals, the lower id first.
pub fn most_probable(distribution: &LogSoftmax, count: usize) -> Vec<TokenProbability> {
    let probability = |token: u32| TokenProbability { token, log_prob: distribution.at(token as usize) };
    largest(distribution.logits(), count).into_iter().map(probability).collect()
}

/// The places of the `count` largest values, descending; of equals, the lower place first.
pub(crate) fn largest(values: &[f32], count: usize) -> Vec<u32> {
    let before = |&a: &u32, &b: &u32| values[b as usize].total_cmp(&values[a as usize]).then(a.cmp(&b));
    let mut places: Vec<u32> = (0..values.len() as u32).collect();
    let count = count.min(places.len());
    if count == 0 {
        return Vec::new();
    }
    places.select_nth_unstable_by(count - 1, before);
    places.truncate(count);
    places.sort_unstable_by(before);
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_count_what_is_more_probable() {
        let distribution = LogSoftmax::of(&[0.0, 3.0, 3.0, -1.0, 9.0]).unwrap();
        let ranks: Vec<u32> = (0..5).map(|token| RankedToken::of(&distribution, token).rank).collect();
        assert_eq!(ranks, [4, 2, 2, 5, 1]);
        let order: Vec<u32> = most_probable(&distribution, 4).iter().map(|found| found.token).collect();
        assert_eq!(order, [4, 1, 2, 0]);
        assert_eq!(most_probable(&distribution, 99).len(), 5);
        assert_eq!(most_probable(&distribution, 0), []);
    }
}
