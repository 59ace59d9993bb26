//! Changes of a sparse autoencoder's features, as a recipe states them.

use crate::schema::{limits, within};
use serde::{Deserialize, Serialize};

/// A change of one feature while the model reads and writes, at the activation that its SAE reads. Feature edits act after
/// a recipe's other edits, in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureEdit {
    /// By its number in the recipe's SAE.
    pub feature: u32,
    pub change: FeatureChange,
    #[serde(default, skip_serializing_if = "is_constant")]
    pub mode: FeatureMode,
    /// How much of the change is made: 1 is all of it, 0 none.
    pub strength: f32,
}

/// What becomes of a feature's value, in the SAE's own units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureChange {
    Set(f32),
    Add(f32),
    /// 0 ablates the feature.
    Scale(f32),
    Clamp {
        low: f32,
        high: f32,
    },
}

/// At which tokens the change is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureMode {
    /// At every token.
    #[default]
    Constant,
    /// At tokens at which the feature's own value is above this: gated by the token.
    WhereItFires { above: f32 },
    /// From the first token of the prompt on at which its value is above this, to the end of the text: gated by the
    /// sequence. Where it fires at none, nothing is changed.
    OnceInPrompt { above: f32 },
}

/// The most feature edits of a recipe.
pub const FEATURE_EDITS_LIMIT: usize = 8;

/// Larger than any feature that is known, and small enough that products with it stay finite.
const MOST_VALUE: f32 = 1e6;

fn is_constant(mode: &FeatureMode) -> bool {
    *mode == FeatureMode::Constant
}

impl FeatureEdit {
    pub(crate) fn check(&self) -> Result<(), String> {
        let value = |what: &str, value: f32| within(what, value, -MOST_VALUE..=MOST_VALUE);
        within("strength", self.strength, -limits::STRENGTH..=limits::STRENGTH)?;
        match self.change {
            FeatureChange::Set(to) => value("value of a feature", to)?,
            FeatureChange::Add(by) => value("value that is added to a feature", by)?,
            FeatureChange::Scale(by) => within("factor of a feature", by, -limits::STRENGTH..=limits::STRENGTH)?,
            FeatureChange::Clamp { low, high } => {
                value("lower bound of a feature", low)?;
                within("upper bound of a feature", high, low..=MOST_VALUE)?;
            }
        }
        match self.mode {
            FeatureMode::Constant => Ok(()),
            FeatureMode::WhereItFires { above } | FeatureMode::OnceInPrompt { above } => {
                within("value above which a feature fires", above, 0.0..=MOST_VALUE)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(change: FeatureChange, mode: FeatureMode) -> FeatureEdit {
        FeatureEdit { feature: 7, change, mode, strength: 1.0 }
    }

    #[test]
    fn every_feature_edit_comes_back_from_its_json() {
        let changes = [
            FeatureChange::Set(3.0),
            FeatureChange::Add(-1.5),
            FeatureChange::Scale(0.0),
            FeatureChange::Clamp { low: 0.0, high: 2.0 },
        ];
        let modes =
            [FeatureMode::Constant, FeatureMode::WhereItFires { above: 0.0 }, FeatureMode::OnceInPrompt { above: 2.5 }];
        for change in changes {
            for mode in modes {
                let edit = edit(change, mode);
                assert_eq!(edit.check(), Ok(()), "{edit:?}");
                let json = serde_json::to_string(&edit).unwrap();
                assert_eq!(serde_json::from_str::<FeatureEdit>(&json).unwrap(), edit, "{json}");
            }
        }
        let json = serde_json::to_string(&edit(FeatureChange::Set(3.0), FeatureMode::Constant)).unwrap();
        assert_eq!(json, r#"{"feature":7,"change":{"set":3.0},"strength":1.0}"#);
    }

    #[test]
    fn what_no_feature_edit_can_be_is_refused() {
        let refused = |edit: FeatureEdit| assert!(edit.check().is_err(), "{edit:?}");
        let plain = |change| edit(change, FeatureMode::Constant);
        refused(plain(FeatureChange::Set(f32::NAN)));
        refused(plain(FeatureChange::Add(f32::INFINITY)));
        refused(plain(FeatureChange::Scale(1e9)));
        refused(plain(FeatureChange::Clamp { low: 1.0, high: 0.0 }));
        refused(plain(FeatureChange::Clamp { low: f32::NAN, high: 0.0 }));
        refused(edit(FeatureChange::Scale(0.0), FeatureMode::WhereItFires { above: -1.0 }));
        refused(edit(FeatureChange::Scale(0.0), FeatureMode::OnceInPrompt { above: f32::NAN }));
        refused(FeatureEdit { strength: 1e9, ..plain(FeatureChange::Scale(0.0)) });
    }
}
