//! Experiments that come with the program, each with what was found when it was run.
//!
//! A recipe lies in `gallery/NAME.json` beside this crate's sources, and what was found in `gallery/findings.json`: that
//! file is written, and held against a new run of every recipe, by the program's own tests.

use crate::Recipe;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What running an experiment showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Whether the effect stands out from its control; `None` where the experiment claims no effect.
    pub holds: Option<bool>,
    /// In a sentence, figures and control included.
    pub sentence: String,
    /// The figures by name.
    pub figures: BTreeMap<String, f64>,
}

/// An experiment of the gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhibit {
    /// In file names and addresses.
    pub name: &'static str,
    pub title: &'static str,
    /// What to look at, and what to try.
    pub about: &'static str,
    json: &'static str,
}

impl Exhibit {
    pub fn named(name: &str) -> Option<&'static Exhibit> {
        GALLERY.iter().find(|exhibit| exhibit.name == name)
    }

    pub fn recipe(&self) -> Recipe {
        Recipe::from_json(self.json).expect("the gallery's recipes are valid, as a test makes sure")
    }

    /// What was found when it was last run; `None` until it was.
    pub fn finding(&self) -> Option<Finding> {
        findings().remove(self.name)
    }
}

/// What was found, by the experiment's name.
pub fn findings() -> BTreeMap<String, Finding> {
    serde_json::from_str(include_str!("../gallery/findings.json")).expect("a test reads this file")
}

macro_rules! exhibit {
    ($name:literal, $title:literal, $about:literal) => {
        Exhibit {
            name: $name,
            title: $title,
            about: $about,
            json: include_str!(concat!("../gallery/", $name, ".json")),
        }
    };
}

/// In the order in which a newcomer should meet them.
pub const GALLERY: [Exhibit; 14] = [
    exhibit!(
        "cheerful",
        "Turn a mood up and down",
        "One direction, added to the activations after one block while the model writes, makes its day wonderful. Move the slider below zero to make it gloomy."
    ),
    exhibit!(
        "capital",
        "Watch an answer form",
        "Read every layer as if it were the last. For most of the way the model has no idea; Paris comes up in the last few blocks, and leads only in the very last."
    ),
    exhibit!(
        "last-digit-of-a-year",
        "A feature with one job",
        "The model's activations, written as a few out of 4,096 learned features. This one fires hardest on the last digit of a year: change the text, and try to fool it."
    ),
    exhibit!(
        "health-held",
        "Hold one feature of ten",
        "Ten features are pinned that make the model say the words they fire on. \"health\" is held while it writes: press Write, and its day begins with a healthy breakfast. Then hold another."
    ),
    exhibit!(
        "country-patched",
        "Where does it keep the answer?",
        "Two runs, France and Germany. One activation at a time is moved from one run into the other: it first matters on the country, and later on the last word."
    ),
    exhibit!(
        "casual",
        "Make it drop its tie",
        "A direction from ten pairs of formal and casual sentences. At zero the model declines politely; pushed, it calls you buddy."
    ),
    exhibit!(
        "sentiment",
        "Read a mood off the activations",
        "A probe at every layer, fitted to reviews it is not tested on. Look at where it starts to work, and at what shuffled labels give."
    ),
    exhibit!(
        "head-moves-country",
        "One head out of 270",
        "The same two runs, head by head: a single attention head carries most of the answer to the last word."
    ),
    exhibit!(
        "are-or-is",
        "Who votes for \"are\"?",
        "The difference between two words' scores is a sum of what each head and MLP adds. See which ones add most."
    ),
    exhibit!(
        "french",
        "Push it into French",
        "The same method, another concept. Far above this strength, or in an earlier block, what comes is French-sounding debris: strength has a price."
    ),
    exhibit!(
        "five-vectors",
        "Are concepts at right angles?",
        "Five directions, read at one layer, and the cosine of every two. Make a new one: formal without French."
    ),
    exhibit!(
        "sea",
        "A change you can see, and no proof",
        "Its childhood moves to the coast. That looks like an effect; over all pairs it is not told apart from nothing. A story is not yet evidence."
    ),
    exhibit!(
        "the-held",
        "It knows the word and does not say it",
        "This feature fires on \"the\" and on hardly anything else. Held at every token it makes \"the\" no likelier: where a feature fires is not what it does."
    ),
    exhibit!(
        "truth",
        "It does not know what is true",
        "The same probe that reads moods without a fault, on true and false statements. A model this small has no truth to be read: this is what a null looks like."
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::to_fragment;
    use std::collections::BTreeSet;

    #[test]
    fn every_experiment_is_valid_fits_a_link_and_has_its_finding() {
        let names: BTreeSet<&str> = GALLERY.iter().map(|exhibit| exhibit.name).collect();
        assert_eq!(names.len(), GALLERY.len());
        for exhibit in &GALLERY {
            Recipe::from_json(exhibit.json).unwrap_or_else(|error| panic!("{}: {error}", exhibit.name));
            to_fragment(&exhibit.recipe()).unwrap_or_else(|error| panic!("{}: {error}", exhibit.name));
        }
        let found: BTreeSet<String> = findings().into_keys().collect();
        assert_eq!(found, names.into_iter().map(String::from).collect());
    }
}
