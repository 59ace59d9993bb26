//! Words of a model's vocabulary that look like other words and are not them.

use std::collections::BTreeSet;
use tiller_model::Tokenizer;

/// Letters in which a look-alike may differ, and those at its beginning that it may share instead.
const EDITS: usize = 2;
const PREFIX: usize = 3;
/// Shorter words look like everything.
const SHORTEST: usize = 3;

/// The tokens of the vocabulary that are whole words of letters, with the space before them, and within an edit distance
/// of [`EDITS`] of one of `words`, or sharing its first [`PREFIX`] letters; none that is one of `words`, or one of them
/// with an ending. At most `most`, the nearest first, each as it is spelt.
pub fn look_alikes(tokenizer: &Tokenizer, words: &[String], most: usize) -> Vec<String> {
    let words: Vec<Vec<char>> = words.iter().map(|word| letters(word)).filter(|word| word.len() >= SHORTEST).collect();
    let mut found: BTreeSet<(usize, String)> = BTreeSet::new();
    for id in 0..tokenizer.vocab_size() {
        let text = tokenizer.token_text(id);
        let Some(bare) = text.strip_prefix(' ').filter(|bare| bare.chars().all(char::is_alphabetic)) else { continue };
        let other = letters(bare);
        let is_form = |word: &Vec<char>| other.starts_with(word) || word.starts_with(&other);
        if other.len() < SHORTEST || words.iter().any(is_form) {
            continue;
        }
        let nearest = words.iter().filter_map(|word| {
            let distance = edit_distance(word, &other);
            (distance <= EDITS || word[..PREFIX] == other[..PREFIX]).then_some(distance)
        });
        found.extend(nearest.min().map(|distance| (distance, text.clone())));
    }
    found.into_iter().take(most).map(|(_, text)| text).collect()
}

fn letters(word: &str) -> Vec<char> {
    word.trim().to_lowercase().chars().collect()
}

/// Insertions, deletions and exchanges of letters that lead from one to the other (Levenshtein 1966).
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let exchanged = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshteins() {
        let distance = |a: &str, b: &str| edit_distance(&letters(a), &letters(b));
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("coffee", "coffin"), 2);
        assert_eq!((distance("", "abc"), distance("same", "same")), (3, 0));
    }
}
