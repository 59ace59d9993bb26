//! What is known of features from the texts that they were trained on.

use super::Training;
use crate::host;
use crate::jobs::features::corpus::{Corpus, CorpusText, OnCorpus, Place};
use std::collections::BTreeMap;
use tiller_experiment::Session;
use tiller_interp::sae::{CoActivity, LabelToken, LabelTokens, Labeller, histogram};
use tiller_protocol::FeatureLabel;
use tiller_sae::Sae;
use tiller_sae::train::{ChosenRows, feature_rows};

/// Passages of a feature.
const TOP: usize = 5;
/// Parts of the way to the largest value, in which values are counted; and features that are named beside one.
const BINS: usize = 10;
const COMPANIONS: usize = 4;
/// Tokens on either side of the strongest whose values are kept: as many as are shown.
const CONTEXT: u32 = 14;
/// Activations that are encoded before messages may arrive.
const ROWS: usize = 256;

/// `rows`: the activations that it was trained on, and those that were held back. Labels are made from the first and
/// measured on the second.
pub async fn of(session: &Session, sae: &Sae, training: &Training, rows: [&[usize]; 2]) -> Corpus {
    let mut texts: BTreeMap<u32, String> = BTreeMap::new();
    for &token in training.stretches.iter().flatten() {
        texts.entry(token).or_insert_with(|| session.tokenizer.token_text(token));
    }
    let [made_on, measured_on] = rows;
    let (made, measured) = (encoded(sae, training, made_on).await, encoded(sae, training, measured_on).await);
    let tokens = [made_on, measured_on].map(|rows| label_tokens(training, rows, &texts));
    let together = CoActivity::new(&made, made_on.len());
    let labeller = Labeller::new(&tokens[0], &tokens[1]);
    let all = (made_on.len() + measured_on.len()).max(1) as f32;
    let mut features = Vec::with_capacity(sae.d_sae);
    for feature in 0..sae.d_sae {
        if feature % 16 == 0 {
            host::breathe().await;
        }
        let (made, measured) = (&made[feature], &measured[feature]);
        let label = labeller.label(made, measured).map(|label| FeatureLabel {
            text: label.text,
            precision: label.precision as f32,
            recall: label.recall as f32,
        });
        let place = |rows: &[usize], row: u32| training.places[rows[row as usize]];
        let on = |rows: &[usize], found: &[(u32, f32)]| -> Vec<((u32, u32), f32)> {
            found.iter().map(|&(row, value)| (place(rows, row), value)).collect()
        };
        let mut places = on(made_on, made);
        places.extend(on(measured_on, measured));
        let max = places.iter().map(|&(_, value)| value).fold(0.0, f32::max);
        features.push(OnCorpus {
            density: places.len() as f32 / all,
            max,
            label,
            histogram: histogram(places.iter().map(|&(_, value)| value), max, BINS),
            together: together
                .of(feature, COMPANIONS)
                .iter()
                .map(|found| (found.feature, found.jaccard as f32))
                .collect(),
            passages: passages(&places),
        });
    }
    let text = |stretch: &Vec<u32>| CorpusText { tokens: stretch.iter().map(|token| texts[token].clone()).collect() };
    Corpus { texts: training.stretches.iter().map(text).collect(), features }
}

/// By feature: at which of `rows` it is active, and how much.
async fn encoded(sae: &Sae, training: &Training, rows: &[usize]) -> Vec<Vec<(u32, f32)>> {
    let mut found = vec![Vec::new(); sae.d_sae];
    for (some, first) in rows.chunks(ROWS).zip((0u32..).step_by(ROWS)) {
        host::breathe().await;
        let some = ChosenRows { values: &training.values, width: training.width, chosen: some };
        for (found, new) in found.iter_mut().zip(feature_rows(sae, &some)) {
            found.extend(new.into_iter().map(|(row, value)| (first + row, value)));
        }
    }
    found
}

fn label_tokens(training: &Training, rows: &[usize], texts: &BTreeMap<u32, String>) -> LabelTokens {
    let text = |stretch: u32, position: u32| texts[&training.stretches[stretch as usize][position as usize]].as_str();
    LabelTokens::new(rows.iter().map(|&row| {
        // The first token of a stretch is never among them.
        let (stretch, position) = training.places[row];
        LabelToken { text: text(stretch, position), before: Some(text(stretch, position - 1)) }
    }))
}

/// Where a feature is strongest, once in a stretch of text.
fn passages(places: &[((u32, u32), f32)]) -> Vec<Place> {
    let mut strongest: BTreeMap<u32, (u32, f32)> = BTreeMap::new();
    for &((stretch, position), value) in places {
        let best = strongest.entry(stretch).or_insert((position, value));
        if value > best.1 {
            *best = (position, value);
        }
    }
    let mut strongest: Vec<(u32, (u32, f32))> = strongest.into_iter().collect();
    strongest.sort_by(|a, b| b.1.1.total_cmp(&a.1.1));
    strongest.truncate(TOP);
    let passage = |(stretch, (at, _)): (u32, (u32, f32))| {
        let near = places.iter().filter(|((own, position), _)| *own == stretch && position.abs_diff(at) <= CONTEXT);
        let values = near.map(|&((_, position), value)| (position as usize, value)).collect();
        Place { text: stretch as usize, at: at as usize, values }
    };
    strongest.into_iter().map(passage).collect()
}
