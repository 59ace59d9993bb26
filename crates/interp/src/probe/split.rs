//! Which texts a probe is fitted to, which it is chosen by, and which it is judged by.

use crate::InterpError;
use crate::shuffle::shuffled;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Probes are fitted to these.
    Training,
    /// The layer is chosen by these.
    Validation,
    /// What is reported is of these.
    Test,
}

/// The share of each part.
const SHARES: [(Part, f64); 3] = [(Part::Training, 0.5), (Part::Validation, 0.25), (Part::Test, 0.25)];

/// A division of texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Split {
    /// By text.
    pub parts: Vec<Part>,
    /// Whether the texts of a group are in one part. Else rows were divided, class by class.
    pub by_group: bool,
}

impl Split {
    /// Half for training, a quarter each for validation and test, as near as the groups allow: the larger groups first,
    /// in an order of the seed's, each to the part that lacks most of what it has. Errors where a part would lack a class.
    pub fn of(labels: &[bool], groups: Option<&[u32]>, seed: u64) -> Result<Split, InterpError> {
        let labels: Vec<usize> = labels.iter().map(|&label| label.into()).collect();
        Split::of_classes(&labels, 2, groups, seed)
    }

    /// The same of labels of several classes, each below `classes`.
    pub fn of_classes(
        labels: &[usize],
        classes: usize,
        groups: Option<&[u32]>,
        seed: u64,
    ) -> Result<Split, InterpError> {
        let mut by_group: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (text, group) in groups.unwrap_or_default().iter().enumerate() {
            by_group.entry(*group).or_default().push(text);
        }
        let has_groups = !by_group.is_empty();
        let units: Vec<Vec<usize>> = match has_groups {
            true => by_group.into_values().collect(),
            false => (0..labels.len()).map(|text| vec![text]).collect(),
        };
        let of_class =
            |texts: &[usize], label: usize| texts.iter().filter(|&&text| labels[text] == label).count() as f64;
        let all: Vec<usize> = (0..labels.len()).collect();
        let counts_of = |texts: &[usize]| (0..classes).map(|label| of_class(texts, label)).collect::<Vec<f64>>();
        let in_all = counts_of(&all);

        let mut order = shuffled(seed, units.len());
        order.sort_by_key(|&unit| std::cmp::Reverse(units[unit].len()));
        let mut parts = vec![Part::Training; labels.len()];
        let mut have = vec![vec![0.0; classes]; SHARES.len()];
        for unit in order {
            let counts = counts_of(&units[unit]);
            let lack = |part: usize| -> f64 {
                let of = |class: usize| {
                    let wanted = SHARES[part].1 * in_all[class];
                    if counts[class] == 0.0 { 0.0 } else { counts[class] * (wanted - have[part][class]) / wanted }
                };
                (0..classes).map(of).sum()
            };
            // Of equal lacks the earlier part.
            let part = (0..SHARES.len()).rev().max_by(|&a, &b| lack(a).total_cmp(&lack(b))).unwrap_or(0);
            have[part].iter_mut().zip(&counts).for_each(|(have, count)| *have += count);
            units[unit].iter().for_each(|&text| parts[text] = SHARES[part].0);
        }
        match have.iter().flatten().all(|&count| count > 0.0) {
            true => Ok(Split { parts, by_group: has_groups }),
            false => Err(InterpError::TooFewExamples { by_group: has_groups }),
        }
    }

    /// The texts of a part, ascending.
    pub fn texts(&self, part: Part) -> Vec<usize> {
        (0..self.parts.len()).filter(|&text| self.parts[text] == part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_divided_class_by_class() {
        // A quarter is positive.
        let labels: Vec<bool> = (0..80).map(|text| text % 4 == 0).collect();
        let split = Split::of(&labels, None, 1).unwrap();
        assert!(!split.by_group);
        for (part, texts, positives) in [(Part::Training, 40, 10), (Part::Validation, 20, 5), (Part::Test, 20, 5)] {
            let found = split.texts(part);
            let positive = found.iter().filter(|&&text| labels[text]).count();
            assert_eq!((found.len(), positive), (texts, positives), "{part:?}");
        }
        assert_ne!(split, Split::of(&labels, None, 2).unwrap());
        assert_eq!(split, Split::of(&labels, None, 1).unwrap());
    }

    #[test]
    fn a_group_stays_together_and_every_part_has_both_classes() {
        // Groups of one label each, of different sizes, and some of both.
        let groups: Vec<u32> = (0..120).map(|text| (text as f64).sqrt() as u32).collect();
        let labels: Vec<bool> =
            (0..120).map(|text| groups[text] % 3 == 0 || (groups[text] % 3 == 1 && text % 2 == 0)).collect();
        for seed in 0..20 {
            let split = Split::of(&labels, Some(&groups), seed).unwrap();
            assert!(split.by_group);
            for text in 1..120 {
                assert!(groups[text] != groups[text - 1] || split.parts[text] == split.parts[text - 1]);
            }
            let training = split.texts(Part::Training).len();
            assert!((45..=75).contains(&training), "{training}");
        }
    }

    #[test]
    fn too_few_groups_are_refused() {
        let labels = [true, true, false, false, true, false];
        let error = Split::of(&labels, Some(&[0, 0, 1, 1, 0, 1]), 0).unwrap_err();
        assert!(error.to_string().contains("group"), "{error}");
        assert!(Split::of(&[true, false, true, false, true], None, 0).is_err());
        assert!(Split::of(&labels, None, 0).is_ok());
    }
}
