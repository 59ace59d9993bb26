//! Changes of features while the model writes.

use super::{RunState, SaeState, Workbench};
use crate::bridge;
use leptos::prelude::*;
use tiller_protocol::Request;
use tiller_recipe::{FEATURE_EDITS_LIMIT, FeatureChange, FeatureEdit, FeatureMode, View};

impl Workbench {
    /// Changes a feature in all that is written from now on; in place of an earlier change of the same feature.
    pub fn change_feature(self, feature: u32, change: FeatureChange, mode: FeatureMode) {
        self.change("change of a feature", |experiment| {
            let edits = &mut experiment.feature_edits;
            edits.retain(|edit| edit.feature != feature);
            if edits.len() < FEATURE_EDITS_LIMIT {
                edits.push(FeatureEdit { feature, change, mode, strength: 1.0 });
            }
        });
        self.write();
    }

    pub fn leave_feature(self, feature: u32) {
        self.change("change of a feature", |experiment| {
            experiment.feature_edits.retain(|edit| edit.feature != feature)
        });
        self.write_again_soon();
    }

    /// How much of a change is made. A run that is being written takes it for its next token.
    pub fn set_feature_strength(self, index: usize, strength: f32) {
        self.change("strength of a feature's change", |experiment| {
            if let Some(edit) = experiment.feature_edits.get_mut(index) {
                edit.strength = strength;
            }
        });
        let running = self.steered.with_untracked(|run| {
            let spec = run.spec.as_ref().filter(|_| run.state == RunState::Writing)?;
            (index < spec.feature_edits.len()).then(|| (run.job, spec.edits.len() + index))
        });
        match running {
            Some((job, edit)) => {
                self.steered.update(|run| run.mixed = true);
                bridge::send(&Request::SetStrength { job, edit, strength });
            }
            None => self.write_again_soon(),
        }
    }

    /// Whether what is to be written needs an SAE that is not loaded yet.
    pub(super) fn awaits_sae(self) -> bool {
        let loaded = self.features.with_untracked(|work| matches!(work.sae, SaeState::Loaded { .. }));
        !loaded && self.experiment.with_untracked(|experiment| !experiment.feature_edits.is_empty())
    }

    /// Whether each token is to come with its features: where somebody looks at them.
    pub(super) fn follows_features(self) -> bool {
        self.view.get_untracked() == View::Features && self.features.with_untracked(|work| work.sae.info().is_some())
    }
}
