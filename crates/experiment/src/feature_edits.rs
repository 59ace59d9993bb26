//! From a recipe's edits of features to the engine's.

use crate::SaePlace;
use std::sync::Arc;
use tiller_engine::{Edit, FeatureChange};
use tiller_interp::sae::{FeatureSteering, Gating, PlacedDictionary};
use tiller_recipe::{FeatureEdit, FeatureMode, RecipeError};
use tiller_sae::Sae;

impl SaePlace {
    /// The SAE at this place, as the pass runs it.
    pub fn dictionary(&self, sae: Arc<Sae>) -> PlacedDictionary {
        PlacedDictionary::new(sae, self.site, self.centred)
    }
}

/// The engine's edits for a recipe's edits of features, in their order. `sae` gives the one of a name, or the one that
/// comes for the model where there is none; with the same name again, the same. Errors where it gives none.
pub fn resolve_feature_edits(
    edits: &[FeatureEdit],
    sae: impl Fn(Option<&str>) -> Option<PlacedDictionary>,
) -> Result<Vec<Edit>, RecipeError> {
    let resolved = edits.iter().map(|edit| {
        let named = edit.sae.as_deref();
        let at = sae(named).ok_or_else(|| {
            let which = named.map_or_else(|| "an SAE of this model".into(), |name| format!("the SAE {name:?}"));
            RecipeError::Invalid(format!("it changes features of {which}, which is not open: open it first"))
        })?;
        Ok(resolve_feature_edit(&at, edit))
    });
    resolved.collect()
}

/// The engine's edit for one of a feature of `at`.
pub fn resolve_feature_edit(at: &PlacedDictionary, edit: &FeatureEdit) -> Edit {
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
