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

/// The engine's edits for a recipe's edits of features of `at`, the recipe's SAE, in their order.
pub fn resolve_feature_edits(at: &PlacedDictionary, edits: &[FeatureEdit]) -> Vec<Edit> {
    edits.iter().map(|edit| resolve_feature_edit(at, edit)).collect()
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use tiller_engine::{Condition, Operation, Positions, Site};
    use tiller_sae::{Activation, Normalisation};

    fn dictionary() -> PlacedDictionary {
        let sae = Sae {
            d_in: 2,
            d_sae: 3,
            w_enc: vec![0.5; 6],
            b_enc: vec![0.0; 3],
            w_dec: vec![0.5; 6],
            b_dec: vec![0.0; 2],
            apply_b_dec_to_input: false,
            activation: Activation::TopK { k: 1 },
            normalisation: Normalisation::None,
            transcoder: None,
        };
        let site = Site::ResidPost(3);
        SaePlace { site, site_out: None, centred: true, notes: Vec::new() }.dictionary(Arc::new(sae))
    }

    #[test]
    fn a_mode_becomes_the_condition_under_which_the_feature_is_changed() {
        let at = dictionary();
        let edit =
            |mode| FeatureEdit { feature: 2, change: tiller_recipe::FeatureChange::Scale(0.0), mode, strength: 0.5 };
        let modes =
            [FeatureMode::Constant, FeatureMode::WhereItFires { above: 1.5 }, FeatureMode::OnceInPrompt { above: 1.5 }];
        let found = resolve_feature_edits(&at, &modes.map(edit));
        for edit in &found {
            let Operation::Features { sae, changes, directions: None, coefficient } = &edit.operation else {
                panic!("{edit:?}")
            };
            assert!(*sae == at.dictionary && sae.centred && *coefficient == 0.5 && edit.site == Site::ResidPost(3));
            assert_eq!(changes[..], [(2, FeatureChange::Scale(0.0))]);
            assert_eq!(edit.positions, Positions::All);
        }
        assert_eq!(found[0].condition, None);
        let gate = |edit: &Edit| match &edit.condition {
            Some(Condition::Activation { above: true, threshold, positions, latched, .. }) => {
                (*threshold, positions.clone(), *latched)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(gate(&found[1]), (1.5, Positions::All, false));
        assert_eq!(gate(&found[2]), (1.5, Positions::Prompt, true));
    }
}
