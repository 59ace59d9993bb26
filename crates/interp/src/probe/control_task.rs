//! The control task: random labels of words, which only a probe that remembers words can learn.

use super::examples::Examples;
use crate::shuffle::shuffled;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a probe makes of labels that belong to words by chance (Hewitt and Liang 2019, "Designing and interpreting probes
/// with control tasks").
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ControlTask {
    /// Mean accuracy over the seeds, on test texts whose word was in training (on any other it can only guess).
    pub accuracy: f64,
    /// How many test texts that is.
    pub texts: usize,
    /// The probe's accuracy on the test texts, less `accuracy`.
    pub selectivity: f64,
}

/// The word that stands for a text: its last token, once the tokens that all texts end with (such as a full stop) are off.
pub(super) fn words(examples: &Examples<'_>) -> Vec<u32> {
    let texts = examples.tokens;
    let shortest = texts.iter().map(Vec::len).min().unwrap_or(0);
    let from_end = |text: &[u32], n: usize| text[text.len() - 1 - n];
    let alike = |n: &usize| texts.iter().all(|text| from_end(text, *n) == from_end(&texts[0], *n));
    let shared = (0..shortest).take_while(alike).count().min(shortest.saturating_sub(1));
    texts.iter().map(|text| from_end(text, shared)).collect()
}

/// A random label for each text, the same for all texts of a word, about half of the words positive. `None` where all
/// texts have one word.
pub(super) fn random_labels(words: &[u32], seed: u64) -> Option<Vec<bool>> {
    let distinct: Vec<u32> = words.iter().copied().collect::<BTreeSet<u32>>().into_iter().collect();
    let order = shuffled(seed, distinct.len());
    let labels: BTreeMap<u32, bool> = order.iter().enumerate().map(|(n, &at)| (distinct[at], n % 2 == 0)).collect();
    (distinct.len() > 1).then(|| words.iter().map(|word| labels[word]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_what_texts_do_not_all_end_with() {
        let of = |tokens: &[Vec<u32>]| words(&Examples { tokens, labels: &vec![true; tokens.len()], groups: None });
        assert_eq!(of(&[vec![1, 2, 9], vec![4, 9], vec![7, 7, 5, 9]]), [2, 4, 5]);
        assert_eq!(of(&[vec![1, 2], vec![4, 9]]), [2, 9]);
        // A text that is nothing but what all end with keeps its first token.
        assert_eq!(of(&[vec![3, 9], vec![9]]), [9, 9]);
    }

    #[test]
    fn a_word_has_one_label_and_half_of_them_are_positive() {
        let words: Vec<u32> = (0..60).map(|text| text % 10).collect();
        let labels = random_labels(&words, 4).unwrap();
        assert_eq!(labels.iter().filter(|&&label| label).count(), 30);
        assert!((10..60).all(|text| labels[text] == labels[text - 10]));
        assert_ne!(random_labels(&words, 5).unwrap(), labels);
        assert_eq!(random_labels(&[7, 7], 1), None);
    }
}
