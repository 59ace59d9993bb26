//! What the Patch view compares.

use crate::schema::{at_most, limits, within};
use serde::{Deserialize, Serialize};
use tiller_sites::{PatchDirection, PatchPlace};

/// Two prompts, two answers, and what is asked about them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Patching {
    /// The prompt after which the answer is right: raw text.
    pub clean: String,
    /// A prompt of as many tokens that differs in what the answer depends on.
    pub corrupt: String,
    /// One token each, as it is spelt.
    pub answer: String,
    pub wrong: String,
    #[serde(skip_serializing_if = "is_default")]
    pub question: PatchQuestion,
    #[serde(skip_serializing_if = "is_default")]
    pub place: PatchPlace,
    #[serde(skip_serializing_if = "is_default")]
    pub direction: PatchDirection,
    /// Random controls of each cell.
    pub controls: u32,
}

/// What is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchQuestion {
    /// Which activations carry the difference between the prompts.
    #[default]
    Patching,
    /// What each part adds directly to the difference of the two answers.
    Attribution,
    /// What is lost without a part.
    Ablation,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Who was given something (Wang et al. 2022): the model has to find the name that came once.
impl Default for Patching {
    fn default() -> Patching {
        Patching {
            clean: "When Mary and John went to the store, John gave a drink to".into(),
            corrupt: "When Mary and John went to the store, Mary gave a drink to".into(),
            answer: " Mary".into(),
            wrong: " John".into(),
            question: PatchQuestion::default(),
            place: PatchPlace::default(),
            direction: PatchDirection::default(),
            controls: 2,
        }
    }
}

impl Patching {
    pub(crate) fn check(&self) -> Result<(), String> {
        for prompt in [&self.clean, &self.corrupt] {
            at_most("prompt to be patched", prompt.chars().count(), limits::TEXT_CHARS)?;
        }
        for token in [&self.answer, &self.wrong] {
            at_most("spelling of an answer", token.chars().count(), limits::NAME_CHARS)?;
        }
        within("number of controls", self.controls, 1..=limits::CONTROLS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_in_the_example_and_too_much_is_refused() {
        let read = |json: &str| serde_json::from_str::<Patching>(json).unwrap();
        assert_eq!(read("{}"), Patching::default());
        let heads = read(r#"{"place": "heads", "direction": "noise", "question": "ablation", "controls": 4}"#);
        assert_eq!((heads.place, heads.direction), (PatchPlace::Heads, PatchDirection::Noise));
        assert_eq!((heads.question, heads.controls), (PatchQuestion::Ablation, 4));
        assert!(heads.check().is_ok());
        for controls in [0, 1000] {
            assert!(Patching { controls, ..Patching::default() }.check().unwrap_err().contains("controls"));
        }
        assert!(Patching { clean: "x".repeat(20_001), ..Patching::default() }.check().is_err());
    }
}
