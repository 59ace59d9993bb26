//! Labels of features by rule, and how far each can be trusted.
//!
//! A label says of a token whether the feature is active there: "the word X", "after the word X", or one of a few kinds
//! of tokens. Of all that occur, the one with the best F1 on some texts is proposed; what is reported is its precision and
//! recall on others. A label that does not hold there is none.

use super::token_kinds::KINDS;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// A feature counts as active from one of these fractions of its largest value on: a trace of it elsewhere is not what it
/// is for. Which of them, is proposed with the label: the one that it foresees better, of equals the higher.
pub const ACTIVE_FROM: [f32; 2] = [0.25, 0.5];
/// The F1, on texts that the label was not made from, below which there is no label.
pub const LEAST_F1: f64 = 0.7;
/// Active tokens that are needed, on either texts, for a label to mean anything.
pub const LEAST_ACTIVE: usize = 5;

/// The tokens of some texts, as labels see them.
pub struct LabelTokens {
    /// By row: the word; `None` where the token is no word.
    words: Vec<Option<u32>>,
    /// By row: the word before it in its text.
    words_before: Vec<Option<u32>>,
    /// By row: which kinds it is of, as bits.
    kinds: Vec<u32>,
    names: Vec<String>,
    ids: HashMap<String, u32>,
}

/// One token of a text.
#[derive(Clone, Copy, Debug)]
pub struct LabelToken<'a> {
    pub text: &'a str,
    /// The token before it in its text, if that is known.
    pub before: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Label {
    pub text: String,
    /// The value from which the feature counts as active.
    pub from: f32,
    pub f1: f64,
    pub precision: f64,
    pub recall: f64,
    /// Active tokens that this was measured on.
    pub positives: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    Word(String),
    After(String),
    Kind(usize),
}

impl Rule {
    fn text(&self) -> String {
        match self {
            Rule::Word(word) => format!("the word “{word}”"),
            Rule::After(word) => format!("after “{word}”"),
            Rule::Kind(kind) => KINDS[*kind].name.into(),
        }
    }

    /// The rule that a label states; `None` where it states none of these.
    fn of(label: &str) -> Option<Rule> {
        let quoted = |before: &str| label.strip_prefix(before)?.strip_suffix('”').map(String::from);
        let kind = || KINDS.iter().position(|kind| kind.name == label).map(Rule::Kind);
        quoted("the word “").map(Rule::Word).or_else(|| quoted("after “").map(Rule::After)).or_else(kind)
    }
}

/// The tokens that a label speaks of, ascending: those that are its word in any spelling, or of its kind. `None` where it
/// speaks of what comes before a token, of none of `vocabulary`, of all, or was not made by these rules.
pub fn label_tokens(label: &str, vocabulary: impl Iterator<Item = String>) -> Option<Vec<u32>> {
    let rule = Rule::of(label)?;
    let holds = |token: &str| match &rule {
        Rule::Word(named) => word(token).as_ref() == Some(named),
        Rule::After(_) => false,
        Rule::Kind(kind) => (KINDS[*kind].holds)(token),
    };
    let (mut tokens, mut all) = (Vec::new(), 0);
    for (id, token) in (0..).zip(vocabulary) {
        all = id + 1;
        tokens.extend(holds(&token).then_some(id));
    }
    (!tokens.is_empty() && tokens.len() < all as usize).then_some(tokens)
}

/// A token without its space and in small letters: " Whale" and "whale" are one word. Line breaks are none.
fn word(token: &str) -> Option<String> {
    let word = token.trim().to_lowercase();
    (!word.is_empty()).then_some(word)
}

impl LabelTokens {
    pub fn new<'a>(tokens: impl IntoIterator<Item = LabelToken<'a>>) -> LabelTokens {
        let (words, words_before, kinds) = (Vec::new(), Vec::new(), Vec::new());
        let mut all = LabelTokens { words, words_before, kinds, names: Vec::new(), ids: HashMap::new() };
        for LabelToken { text, before } in tokens {
            let (word, before) = (all.id(text), before.and_then(|before| all.id(before)));
            all.words.push(word);
            all.words_before.push(before);
            let kinds = KINDS.iter().enumerate().filter(|(_, kind)| (kind.holds)(text));
            all.kinds.push(kinds.fold(0, |bits, (i, _)| bits | 1 << i));
        }
        all
    }

    fn id(&mut self, token: &str) -> Option<u32> {
        let word = word(token)?;
        let next = self.names.len() as u32;
        let id = *self.ids.entry(word.clone()).or_insert(next);
        if id == next {
            self.names.push(word);
        }
        Some(id)
    }

    /// In how many of `rows` each rule holds.
    fn counts(&self, rows: impl Iterator<Item = usize>) -> Counts {
        let mut counts = Counts { words: vec![0; self.names.len()], ..Counts::default() };
        counts.words_before = counts.words.clone();
        for row in rows {
            self.words[row].into_iter().for_each(|word| counts.words[word as usize] += 1);
            self.words_before[row].into_iter().for_each(|word| counts.words_before[word as usize] += 1);
            (0..KINDS.len()).filter(|i| self.kinds[row] >> i & 1 == 1).for_each(|i| counts.kinds[i] += 1);
        }
        counts
    }

    fn rules_at(&self, row: usize) -> impl Iterator<Item = Rule> {
        let name = |id: u32| self.names[id as usize].clone();
        let kinds = (0..KINDS.len()).filter(move |i| self.kinds[row] >> i & 1 == 1).map(Rule::Kind);
        let words = self.words[row].map(|id| Rule::Word(name(id)));
        words.into_iter().chain(self.words_before[row].map(|id| Rule::After(name(id)))).chain(kinds)
    }

    fn count(&self, counts: &Counts, rule: &Rule) -> usize {
        let of = |counts: &[usize], word: &str| self.ids.get(word).map_or(0, |&id| counts[id as usize]);
        match rule {
            Rule::Word(word) => of(&counts.words, word),
            Rule::After(word) => of(&counts.words_before, word),
            Rule::Kind(kind) => counts.kinds[*kind],
        }
    }
}

#[derive(Default)]
struct Counts {
    words: Vec<usize>,
    words_before: Vec<usize>,
    kinds: [usize; KINDS.len()],
}

/// Makes labels on some texts and measures them on others.
pub struct Labeller<'a> {
    made_on: &'a LabelTokens,
    measured_on: &'a LabelTokens,
    totals: [Counts; 2],
}

impl<'a> Labeller<'a> {
    pub fn new(made_on: &'a LabelTokens, measured_on: &'a LabelTokens) -> Labeller<'a> {
        let totals = [made_on, measured_on].map(|tokens| tokens.counts(0..tokens.words.len()));
        Labeller { made_on, measured_on, totals }
    }

    /// The label of a feature that is active at these rows of either texts, and how much. `None` where no rule holds on the
    /// texts that it was not made from, or the feature is hardly ever active.
    pub fn label(&self, made_on: &[(u32, f32)], measured_on: &[(u32, f32)]) -> Option<Label> {
        let largest = made_on.iter().map(|&(_, value)| value).fold(0.0, f32::max);
        let (f1, from, rule) = ACTIVE_FROM
            .into_iter()
            .filter_map(|fraction| self.proposed(made_on, fraction * largest))
            .max_by(|a, b| a.0.total_cmp(&b.0))?;
        // What does not hold where it was made is not measured.
        let active = Some(active(measured_on, from)).filter(|active| active.len() >= LEAST_ACTIVE && f1 >= LEAST_F1)?;
        let hits = active.iter().filter(|&&row| self.measured_on.rules_at(row).any(|found| found == rule)).count();
        let said = self.measured_on.count(&self.totals[1], &rule);
        let Scores { f1, precision, recall } = Scores::new(hits, said, active.len());
        let text = rule.text();
        (f1 >= LEAST_F1).then_some(Label { text, from, f1, precision, recall, positives: active.len() })
    }

    /// The rule that foresees best where a feature is at least `from`, with its F1, and `from`.
    fn proposed(&self, made_on: &[(u32, f32)], from: f32) -> Option<(f64, f32, Rule)> {
        let active = Some(active(made_on, from)).filter(|active| active.len() >= LEAST_ACTIVE)?;
        let mut hits: BTreeMap<Rule, usize> = BTreeMap::new();
        active.iter().flat_map(|&row| self.made_on.rules_at(row)).for_each(|rule| *hits.entry(rule).or_default() += 1);
        let scored = hits.into_iter().map(|(rule, hits)| {
            let said = self.made_on.count(&self.totals[0], &rule);
            (Scores::new(hits, said, active.len()).f1, from, rule)
        });
        scored.max_by(|a, b| a.0.total_cmp(&b.0))
    }
}

/// Where a feature is at least `from`.
fn active(rows: &[(u32, f32)], from: f32) -> Vec<usize> {
    rows.iter().filter(|(_, value)| *value >= from).map(|&(row, _)| row as usize).collect()
}

struct Scores {
    f1: f64,
    precision: f64,
    recall: f64,
}

impl Scores {
    /// `said`: tokens of which the rule holds; `hits` of them are among the `active` ones.
    fn new(hits: usize, said: usize, active: usize) -> Scores {
        let ratio = |a: usize, b: usize| if b == 0 { 0.0 } else { a as f64 / b as f64 };
        Scores { f1: ratio(2 * hits, said + active), precision: ratio(hits, said), recall: ratio(hits, active) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &[&'static str]) -> LabelTokens {
        let before = std::iter::once(None).chain(text.iter().map(|&token| Some(token)));
        LabelTokens::new(text.iter().zip(before).map(|(&text, before)| LabelToken { text, before }))
    }

    /// The rows at which a feature is active that knows a rule.
    fn knowing(text: &[&str], is: impl Fn(&str, &str) -> bool) -> Vec<(u32, f32)> {
        let rows = (0..text.len()).filter(|&i| is(text[i], if i > 0 { text[i - 1] } else { "" }));
        rows.map(|row| (row as u32, 8.0)).collect()
    }

    fn at(rows: &[u32]) -> Vec<(u32, f32)> {
        rows.iter().map(|&row| (row, 8.0)).collect()
    }

    const MADE_ON: [&str; 24] = [
        "The", " whale", " saw", " a", " Whale", ".", "\n", " Running", " whale", " and", " a", " dog", ",", " the",
        " whale", " sing", "ing", " to", " a", " boat", "!", " Whale", " of", " a",
    ];
    const UNSEEN: [&str; 20] = [
        " A", " whale", " in", " a", " town", ",", " whale", ".", " Whale", " is", " a", " Whale", " with", " a",
        " fin", " A", " whale", " a", " bird", "?",
    ];

    #[test]
    fn a_word_is_found_in_any_spelling_and_measured_on_other_texts() {
        let (made_on, unseen) = (tokens(&MADE_ON), tokens(&UNSEEN));
        let labeller = Labeller::new(&made_on, &unseen);
        let whale = |token: &str, _: &str| token.trim().eq_ignore_ascii_case("whale");
        let mut active_unseen = knowing(&UNSEEN, whale);
        let label = labeller.label(&knowing(&MADE_ON, whale), &active_unseen).unwrap();
        assert_eq!((label.text.as_str(), label.f1, label.positives), ("the word “whale”", 1.0, 5));
        // Two more tokens there, which the label does not foresee: recall falls, precision does not.
        active_unseen.extend(at(&[2, 4]));
        let label = labeller.label(&knowing(&MADE_ON, whale), &active_unseen).unwrap();
        assert_eq!((label.precision, label.recall), (1.0, 5.0 / 7.0));
    }

    #[test]
    fn traces_of_a_feature_do_not_count() {
        let (made_on, unseen) = (tokens(&MADE_ON), tokens(&UNSEEN));
        let whale = |token: &str, _: &str| token.trim().eq_ignore_ascii_case("whale");
        let with = |mut rows: Vec<(u32, f32)>, traces: f32| {
            rows.extend([(2, traces), (3, traces), (5, traces)]);
            rows
        };
        let active = [knowing(&MADE_ON, whale), knowing(&UNSEEN, whale)].map(|rows| with(rows, 3.0));
        let label = Labeller::new(&made_on, &unseen).label(&active[0], &active[1]).unwrap();
        assert_eq!((label.from, label.f1), (4.0, 1.0));
        // Where it is weaker on some of what it is for, the lower bound is proposed.
        let weaker = |mut rows: Vec<(u32, f32)>| {
            rows[0].1 = 3.0;
            rows
        };
        let active = [knowing(&MADE_ON, whale), knowing(&UNSEEN, whale)].map(|rows| weaker(with(rows, 0.5)));
        let label = Labeller::new(&made_on, &unseen).label(&active[0], &active[1]).unwrap();
        assert_eq!((label.from, label.f1), (2.0, 1.0));
    }

    #[test]
    fn what_follows_a_word_is_found() {
        let (made_on, unseen) = (tokens(&MADE_ON), tokens(&UNSEEN));
        let made_active = knowing(&MADE_ON, |_, before| before.trim() == "a");
        let unseen_active = knowing(&UNSEEN, |_, before| before.trim().eq_ignore_ascii_case("a"));
        let again = |rows: &[(u32, f32)]| rows.iter().cycle().take(6).copied().collect::<Vec<_>>();
        let label = Labeller::new(&made_on, &unseen).label(&again(&made_active), &again(&unseen_active));
        assert_eq!(label.unwrap().text, "after “a”");
    }

    #[test]
    fn a_label_names_its_tokens_again() {
        let vocabulary = ["whale", " Whale", " a", "ing", " whales", "\n", " 42", "7", "”"];
        let of = |label: &str| label_tokens(label, vocabulary.into_iter().map(String::from));
        assert_eq!(of("the word “whale”"), Some(vec![0, 1]));
        assert_eq!(of("the word “””"), Some(vec![8]));
        assert_eq!(of("digits"), Some(vec![6, 7]));
        for without in ["after “a”", "the word “boat”", "harpoons and such", ""] {
            assert_eq!(of(without), None, "{without}");
        }
        for rule in [Rule::Word("a”".into()), Rule::After("the".into()), Rule::Kind(3)] {
            assert_eq!(Rule::of(&rule.text()), Some(rule));
        }
    }

    #[test]
    fn a_feature_that_no_rule_foresees_has_no_label() {
        let (made_on, unseen) = (tokens(&MADE_ON), tokens(&UNSEEN));
        let labeller = Labeller::new(&made_on, &unseen);
        assert_eq!(labeller.label(&at(&[0, 5, 9, 11, 17, 20]), &at(&[2, 4, 9, 12, 14, 18])), None);
        // Nor has one that is hardly ever active.
        assert_eq!(labeller.label(&at(&[1, 4]), &at(&[1, 6])), None);
    }

    #[test]
    fn a_label_that_holds_only_where_it_was_made_is_none() {
        let (made_on, unseen) = (tokens(&MADE_ON), tokens(&UNSEEN));
        let whale = knowing(&MADE_ON, |token, _| token.trim().eq_ignore_ascii_case("whale"));
        assert_eq!(Labeller::new(&made_on, &unseen).label(&whale, &at(&[0, 2, 3, 5, 7, 9])), None);
    }
}
