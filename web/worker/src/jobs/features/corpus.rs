//! What is known of an SAE's features from a corpus.

use serde::{Deserialize, Serialize};
use tiller_protocol::{FeatureLabel, FeatureSeen, Passage};

/// What is known of features from a corpus, as `features.json` has it.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Corpus {
    pub texts: Vec<CorpusText>,
    /// By number.
    pub features: Vec<OnCorpus>,
}

#[derive(Deserialize, Serialize)]
pub struct CorpusText {
    pub tokens: Vec<String>,
}

/// One feature.
#[derive(Deserialize, Serialize)]
pub struct OnCorpus {
    pub density: f32,
    pub max: f32,
    #[serde(default)]
    pub label: Option<FeatureLabel>,
    #[serde(default)]
    pub passages: Vec<Place>,
    /// How many active tokens lie in each tenth of the way to the largest value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub histogram: Vec<u32>,
    /// Features that are active on the same tokens, with the share of both's tokens that are (Jaccard index).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub together: Vec<(u32, f32)>,
}

/// A place in a text: the position of the feature's largest value there, and its values by position.
#[derive(Deserialize, Serialize)]
pub struct Place {
    pub text: usize,
    pub at: usize,
    pub values: Vec<(usize, f32)>,
}

/// Tokens of a passage before and after the one on which the feature is strongest.
const BEFORE: usize = 14;
const AFTER: usize = 7;
/// Bins of a histogram, and features beside one, that are shown.
const BINS: usize = 50;
const COMPANIONS: usize = 8;
/// Bytes.
const LONGEST_LABEL: usize = 200;

impl Corpus {
    /// What a feature's value tells: times the surprise that the feature is active at all, in nats. Where nothing is
    /// known of it, the value.
    pub fn tells(&self, feature: u32, value: f32) -> f32 {
        let density = self.features.get(feature as usize).map(|found| found.density);
        value * density.map_or(1.0, |density| -density.clamp(1e-6, 1.0).ln())
    }

    /// Of the features that have one. What is too long for a label is none.
    pub fn labels(&self) -> impl Iterator<Item = (u32, FeatureLabel)> + '_ {
        let short = |label: &&FeatureLabel| label.text.len() <= LONGEST_LABEL;
        (0..)
            .zip(&self.features)
            .filter_map(move |(number, found)| Some((number, found.label.as_ref().filter(short)?.clone())))
    }

    /// The texts in which a feature is most active.
    pub fn texts_of(&self, feature: usize) -> Vec<String> {
        let places = self.features.get(feature).into_iter().flat_map(|found| &found.passages);
        let mut texts: Vec<usize> = places.map(|place| place.text).collect();
        texts.sort_unstable();
        texts.dedup();
        texts.into_iter().filter_map(|text| Some(self.texts.get(text)?.tokens.concat())).collect()
    }

    pub fn seen(&self, feature: usize) -> Option<FeatureSeen> {
        let found = self.features.get(feature)?;
        let passages = found.passages.iter().filter_map(|place| self.passage(place)).collect();
        let histogram = found.histogram.iter().take(BINS).copied().collect();
        let together = found.together.iter().take(COMPANIONS).copied().collect();
        Some(FeatureSeen { density: found.density, largest: found.max, histogram, together, passages })
    }

    /// `None` where a place is none.
    fn passage(&self, place: &Place) -> Option<Passage> {
        let tokens = &self.texts.get(place.text)?.tokens;
        let window = place.at.saturating_sub(BEFORE)..place.at.saturating_add(AFTER + 1).min(tokens.len());
        let mut values = vec![0.0; window.len()];
        for &(position, value) in place.values.iter().filter(|(position, _)| window.contains(position)) {
            values[position - window.start] = value;
        }
        Some(Passage { tokens: tokens.get(window)?.to_vec(), values })
    }
}
