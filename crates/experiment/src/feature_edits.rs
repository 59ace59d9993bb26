//! From a recipe's edits of features to the engine's.

use crate::SaePlace;
use std::sync::Arc;
use tiller_engine::{Edit, FeatureChange};
use tiller_interp::sae::{FeatureSteering, Gating, PlacedDictionary};
use tiller_recipe::{FeatureEdit, FeatureMode};
use tiller_sae::Sae;

impl SaePlace {
    /// The SAE at this place, as the pass runs it.
    pub fn dictionary(&self, sae: Arc<Sae>) -> PlacedDictionary {
        PlacedDictionary::new(sae, self.site, self.centred)
    }
}

/// The engine's edits for a recipe's edits of features of the SAE `at`, in their order.
pub fn resolve_feature_edits(at: &PlacedDictionary, edits: &[FeatureEdit]) -> Vec<Edit> {
    edits.iter().map(|edit| resolve_feature_edit(at, edit)).collect()
}

/// The engine's edit for one of a feature of `at`.
fn resolve_feature_edit(at: &PlacedDictionary, edit: &FeatureEdit) -> Edit {
    let change = match edit.change {
        tiller_recipe::FeatureChange::Set(value) => FeatureChange::Set(value),
        tiller_recipe::FeatureChange::Add(value) => FeatureChange::Add(value),
        tiller_recipe::FeatureChange::Scale(factor) => FeatureChange::Scale(factor),
        tiller_recipe::FeatureChange::Clamp { low, high } => FeatureChange::Clamp { low, high },
    };
    let gating = match edit.mode {
        FeatureMode::Constant => Gating::Constant,
        FeatureMode::WhereItFires { above } => Gating::Token { above },
        FeatureMode::OnceInPrompt { above } => Gating::Sequence { above },
    };
    at.edit(&FeatureSteering { feature: edit.feature, change, strength: edit.strength }, gating)
}
