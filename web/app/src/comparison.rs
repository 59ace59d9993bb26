//! Two runs side by side.

use tiller_protocol::WrittenToken;

/// How far two runs agree, token by token at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    pub differing: usize,
    /// The length of the longer run.
    pub of: usize,
}

/// Whether the tokens at `index` differ; one that has no counterpart does.
pub fn differs(plain: &[WrittenToken], steered: &[WrittenToken], index: usize) -> bool {
    plain.get(index).map(|token| token.id) != steered.get(index).map(|token| token.id)
}

pub fn compare(plain: &[WrittenToken], steered: &[WrittenToken]) -> Comparison {
    let of = plain.len().max(steered.len());
    Comparison { differing: (0..of).filter(|&index| differs(plain, steered, index)).count(), of }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(ids: &[u32]) -> Vec<WrittenToken> {
        let token = |(index, &id): (usize, &u32)| WrittenToken {
            index: index as u32,
            id,
            text: String::new(),
            log_prob: 0.0,
            alternatives: Vec::new(),
            strengths: Vec::new(),
            features: Vec::new(),
        };
        ids.iter().enumerate().map(token).collect()
    }

    #[test]
    fn tokens_without_a_counterpart_differ() {
        assert_eq!(compare(&run(&[1, 2, 3]), &run(&[1, 9])), Comparison { differing: 2, of: 3 });
        assert_eq!(compare(&run(&[]), &run(&[])), Comparison { differing: 0, of: 0 });
        assert_eq!(compare(&run(&[4, 5]), &run(&[4, 5])), Comparison { differing: 0, of: 2 });
    }
}
