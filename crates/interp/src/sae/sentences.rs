//! Features of whole sentences: which know something of a sentence that can be told from its text.
//!
//! The SAE is trained on one vector for each sentence, the mean of the residual stream over its tokens (after RISE: "Fantastic
//! reasoning behaviors and where to find them", 2025, which has steps of reasoning in the place of sentences).

use super::PlacedSae;
use super::baselines::with_random_directions;
use super::bias::spearman;
use crate::InterpError;
use crate::probe::auc;
use crate::shuffle::shuffled;
use serde::Serialize;
use tiller_engine::Controls;

/// Sentences in which a feature has to be active, of those that it is chosen by.
const FEWEST: usize = 20;

/// A sentence of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentence {
    /// The number of its text: the sentences of one are together among those that choose or those that report.
    pub source: u32,
    pub text: String,
    /// Tokens.
    pub length: usize,
    /// Whether its text ends with it.
    pub is_last: bool,
}

/// What a sentence may be.
struct Kind {
    name: &'static str,
    holds: fn(&Sentence) -> bool,
}

const KINDS: [Kind; 5] = [
    Kind { name: "dialogue", holds: |s| s.text.contains(['"', '“', '”']) },
    Kind { name: "question", holds: |s| s.text.trim_end().ends_with('?') },
    Kind { name: "negation", holds: |s| words(s).any(|w| is_negation(&w)) },
    Kind { name: "past tense", holds: |s| words(s).filter(|w| is_past(w)).count() >= 2 },
    Kind { name: "end of text", holds: |s| s.is_last },
];

fn words(sentence: &Sentence) -> impl Iterator<Item = String> {
    sentence.text.split(|c: char| !c.is_alphanumeric() && c != '\'').map(str::to_lowercase)
}

fn is_negation(word: &str) -> bool {
    matches!(word, "not" | "no" | "never" | "nor" | "nothing" | "none" | "nobody" | "cannot") || word.ends_with("n't")
}

fn is_past(word: &str) -> bool {
    matches!(word, "was" | "were" | "had" | "did" | "said" | "went" | "came")
        || (word.len() > 4 && word.ends_with("ed"))
}

/// The feature that knows most of a property of sentences, chosen on one half of the texts, reported on the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SentenceFeature {
    pub property: &'static str,
    /// Sentences that report, and those of them that have the property (for a length: all).
    pub sentences: usize,
    pub positives: usize,
    pub feature: u32,
    /// Area under the receiver operating characteristic; of the length, Spearman's rank correlation.
    pub value: f64,
    /// The same for the SAE with random directions, with a feature of its own.
    pub random: f64,
    /// The same for the SAE, with the property dealt to sentences at random.
    pub shuffled: f64,
}

/// Looks for the feature of each property: dialogue, question, negation, past tense, end of text, length. `vectors`,
/// `[sentences, d_in]`. Features count by how far they are from chance, either way. Errors where the work was cancelled; a
/// property that too few sentences have is left out.
pub async fn sentence_features(
    sae: &PlacedSae<'_>,
    vectors: &[f32],
    sentences: &[Sentence],
    seed: u32,
    controls: &impl Controls,
) -> Result<Vec<SentenceFeature>, InterpError> {
    let random = with_random_directions(sae.sae, seed);
    let random = PlacedSae { sae: &random, ..*sae };
    let chooses: Vec<bool> = sentences.iter().map(|sentence| sentence.source.is_multiple_of(2)).collect();
    let mut by_feature = Vec::new();
    for sae in [sae, &random] {
        let mut columns = vec![Vec::new(); sae.sae.d_sae];
        for (row, features) in sae.encode(vectors, controls, |_| {}).await?.into_iter().enumerate() {
            features.into_iter().for_each(|(feature, value)| columns[feature as usize].push((row, f64::from(value))));
        }
        by_feature.push(columns);
    }
    let order = shuffled(u64::from(seed), sentences.len());
    let length: Vec<f64> = sentences.iter().map(|sentence| sentence.length as f64).collect();
    let mut found = Vec::new();
    for kind in &KINDS {
        let labels: Vec<bool> = sentences.iter().map(kind.holds).collect();
        let dealt: Vec<bool> = order.iter().map(|&row| labels[row]).collect();
        let score = |labels: &[bool], values: &[f64], rows: &[usize]| {
            let scored: Vec<(f64, bool)> = rows.iter().map(|&row| (values[row], labels[row])).collect();
            auc(&scored).unwrap_or(0.5)
        };
        let of = |columns: &[Vec<(usize, f64)>], labels: &[bool]| {
            best(columns, &chooses, 0.5, |values, rows| score(labels, values, rows))
        };
        let positives = labels.iter().zip(&chooses).filter(|(label, chooses)| **label && !**chooses).count();
        if positives >= FEWEST {
            push(
                &mut found,
                kind.name,
                positives,
                &chooses,
                [of(&by_feature[0], &labels), of(&by_feature[1], &labels), of(&by_feature[0], &dealt)],
            );
        }
        controls.pause().await;
        if controls.cancelled() {
            return Err(tiller_engine::EngineError::Cancelled.into());
        }
    }
    let dealt: Vec<f64> = order.iter().map(|&row| length[row]).collect();
    let of = |columns: &[Vec<(usize, f64)>], length: &[f64]| {
        let correlation = |values: &[f64], rows: &[usize]| {
            let both: (Vec<f64>, Vec<f64>) = rows.iter().map(|&row| (values[row], length[row])).unzip();
            spearman(&both.0, &both.1)
        };
        best(columns, &chooses, 0.0, correlation)
    };
    let reports = chooses.iter().filter(|chooses| !**chooses).count();
    let found_of_length = [of(&by_feature[0], &length), of(&by_feature[1], &length), of(&by_feature[0], &dealt)];
    push(&mut found, "length", reports, &chooses, found_of_length);
    Ok(found)
}

fn push(
    found: &mut Vec<SentenceFeature>,
    property: &'static str,
    positives: usize,
    chooses: &[bool],
    [own, random, shuffled]: [Option<(u32, f64)>; 3],
) {
    let Some((feature, value)) = own else { return };
    let other = |found: Option<(u32, f64)>| found.map_or(f64::NAN, |(_, value)| value);
    let sentences = chooses.iter().filter(|chooses| !**chooses).count();
    let (random, shuffled) = (other(random), other(shuffled));
    found.push(SentenceFeature { property, sentences, positives, feature, value, random, shuffled });
}

/// The feature whose score is furthest from `chance` where it is chosen, with its score where it is reported.
fn best(
    columns: &[Vec<(usize, f64)>],
    chooses: &[bool],
    chance: f64,
    score: impl Fn(&[f64], &[usize]) -> f64,
) -> Option<(u32, f64)> {
    let (chosen_by, reported_by): (Vec<usize>, Vec<usize>) = (0..chooses.len()).partition(|&row| chooses[row]);
    let mut values = vec![0.0; chooses.len()];
    let mut best: Option<(f64, u32, f64)> = None;
    for (feature, column) in (0u32..).zip(columns) {
        if column.iter().filter(|(row, _)| chooses[*row]).count() < FEWEST {
            continue;
        }
        column.iter().for_each(|&(row, value)| values[row] = value);
        let away = (score(&values, &chosen_by) - chance).abs();
        if best.is_none_or(|(most, ..)| away > most) {
            best = Some((away, feature, score(&values, &reported_by)));
        }
        column.iter().for_each(|&(row, _)| values[row] = 0.0);
    }
    best.map(|(_, feature, value)| (feature, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steer::random_direction;
    use tiller_engine::Site;
    use tiller_sae::{Activation, Normalisation, Sae};

    fn sentence(text: &str) -> Sentence {
        Sentence { source: 0, text: text.into(), length: 5, is_last: false }
    }

    #[test]
    fn sentences_are_what_their_texts_say() {
        let kinds = |text: &str| {
            KINDS.iter().filter(|kind| (kind.holds)(&sentence(text))).map(|kind| kind.name).collect::<Vec<_>>()
        };
        assert_eq!(kinds("“Who is there?”"), ["dialogue"]);
        assert_eq!(kinds(" Who is there? "), ["question"]);
        assert_eq!(kinds("She didn't answer, and walked on; it was late."), ["negation", "past tense"]);
        assert_eq!(kinds("A notice on the board."), Vec::<&str>::new());
    }

    #[test]
    fn the_feature_of_a_property_is_found_and_none_of_a_property_that_is_dealt_at_random() {
        const D: usize = 24;
        let (question, long) = (random_direction(1, D), random_direction(2, D));
        let (mut vectors, mut sentences) = (Vec::new(), Vec::new());
        for n in 0..400u64 {
            let is_question = n % 5 < 2;
            let length = 3 + (n * 7 % 40) as usize;
            let noise = random_direction(100 + n, D);
            vectors.extend((0..D).map(|i| {
                4.0 * question[i] * f32::from(u8::from(is_question)) + 0.2 * length as f32 * long[i] + 0.5 * noise[i]
            }));
            let text = if is_question { "Is it?" } else { "It is." };
            sentences.push(Sentence { source: n as u32 / 3, length, ..sentence(text) });
        }
        let mut rows = [question, long].concat();
        (3..20).for_each(|seed| rows.extend(random_direction(seed, D)));
        let d_sae = rows.len() / D;
        let sae = Sae {
            d_in: D,
            d_sae,
            w_enc: rows.clone(),
            b_enc: vec![0.0; d_sae],
            w_dec: rows,
            b_dec: vec![0.0; D],
            apply_b_dec_to_input: false,
            activation: Activation::Relu,
            normalisation: Normalisation::None,
            transcoder: None,
        };
        let placed = PlacedSae { sae: &sae, site: Site::ResidPost(0), site_out: None, centred: false };
        let found = pollster::block_on(sentence_features(&placed, &vectors, &sentences, 1, &())).unwrap();
        let names: Vec<&str> = found.iter().map(|found| found.property).collect();
        assert_eq!(names, ["question", "length"]);
        assert_eq!((found[0].feature, found[1].feature), (0, 1));
        assert!(found[0].value > 0.95 && (found[0].shuffled - 0.5).abs() < 0.12, "{found:?}");
        assert!(found[1].value > 0.9 && found[1].shuffled.abs() < 0.25, "{found:?}");
    }
}
