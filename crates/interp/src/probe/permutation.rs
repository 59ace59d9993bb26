//! Labels without a meaning: what a probe reaches where there is nothing to learn.

use crate::shuffle::shuffled;
use std::collections::BTreeMap;

/// The training labels in another order. Within each group, where groups have texts of both classes: what a group's texts
/// share stays as it is. Where no group has both, whole groups exchange their labels. Without groups, all texts.
pub(super) fn permuted<T: Copy + PartialEq>(labels: &[T], groups: Option<&[u32]>, seed: u64) -> Vec<T> {
    let exchange = |places: &[usize], seed: u64, into: &mut [T]| {
        for (place, from) in shuffled(seed, places.len()).into_iter().enumerate() {
            into[places[place]] = labels[places[from]];
        }
    };
    let mut permuted = labels.to_vec();
    let mut by_group: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (text, group) in groups.unwrap_or_default().iter().enumerate() {
        by_group.entry(*group).or_default().push(text);
    }
    let members: Vec<Vec<usize>> = by_group.into_values().collect();
    let pure = |texts: &Vec<usize>| texts.iter().all(|&text| labels[text] == labels[texts[0]]);
    if members.is_empty() {
        let all: Vec<usize> = (0..labels.len()).collect();
        exchange(&all, seed, &mut permuted);
    } else if members.iter().all(pure) {
        for (place, from) in shuffled(seed, members.len()).into_iter().enumerate() {
            members[place].iter().for_each(|&text| permuted[text] = labels[members[from][0]]);
        }
    } else {
        // A seed of its own for each group: groups of one size would else be shuffled alike.
        for (n, texts) in members.iter().enumerate() {
            exchange(texts, seed ^ ((n as u64 + 1) << 32), &mut permuted);
        }
    }
    permuted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positives(labels: &[bool]) -> usize {
        labels.iter().filter(|&&label| label).count()
    }

    #[test]
    fn groups_keep_how_many_of_them_are_positive() {
        let labels: Vec<bool> = (0..40).map(|text| text % 2 == 0 || text < 8).collect();
        let groups: Vec<u32> = (0..40).map(|text| text / 8).collect();
        let found = permuted(&labels, Some(&groups), 5);
        assert_ne!(found, labels);
        for group in 0..5 {
            let of = |all: &[bool]| positives(&all[group * 8..group * 8 + 8]);
            assert_eq!(of(&found), of(&labels));
        }
        assert_ne!(found[8..16], found[16..24], "groups are not shuffled alike");
    }

    #[test]
    fn groups_of_one_label_exchange_them_whole() {
        let labels: Vec<bool> = (0..40).map(|text| text / 4 % 2 == 0).collect();
        let groups: Vec<u32> = (0..40).map(|text| text / 4).collect();
        let found = permuted(&labels, Some(&groups), 1);
        assert_ne!(found, labels);
        assert_eq!(positives(&found), positives(&labels));
        assert!(found.chunks(4).all(|group| group.iter().all(|&label| label == group[0])));
    }

    #[test]
    fn without_groups_all_texts_exchange_labels() {
        let labels: Vec<bool> = (0..40).map(|text| text < 10).collect();
        let found = permuted(&labels, None, 1);
        assert!(found != labels && positives(&found) == 10);
    }
}
