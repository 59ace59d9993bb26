//! Features: the sparse autoencoder, what it finds in the prompt, and the feature that is looked at.

use super::{ModelState, Workbench};
use crate::bridge;
use crate::features::{shipped_for, title};
use leptos::prelude::*;
use tiller_protocol::{
    Directions, FeatureCard, FeatureText, JobId, Progress, Request, RunSpec, SaeFileBytes, SaeInfo, SaeSource,
};
use tiller_recipe::{PINNED_LIMIT, View};
use tiller_sites::ModelRef;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureWork {
    pub sae: SaeState,
    /// While the prompt is read.
    pub job: Option<JobId>,
    pub progress: Option<Progress>,
    /// What was read last, or is being read.
    of: Option<RunSpec>,
    pub text: FeatureText,
    /// The feature that was asked for last, and the job that brings it.
    asked: Option<(JobId, u32)>,
    pub card: Option<FeatureCard>,
}

/// The sparse autoencoder, of the model that it was loaded for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum SaeState {
    #[default]
    None,
    Loading {
        job: JobId,
        model: ModelRef,
    },
    Loaded {
        info: SaeInfo,
        model: ModelRef,
    },
    /// What went wrong was said; it is not tried again unasked.
    Failed {
        model: ModelRef,
    },
}

impl SaeState {
    pub fn info(&self) -> Option<&SaeInfo> {
        match self {
            SaeState::Loaded { info, .. } => Some(info),
            _ => None,
        }
    }

    fn model(&self) -> Option<&ModelRef> {
        match self {
            SaeState::None => None,
            SaeState::Loading { model, .. } | SaeState::Loaded { model, .. } | SaeState::Failed { model } => {
                Some(model)
            }
        }
    }
}

/// After a change, this long until the prompt is read again.
const REST_MS: u32 = 400;

impl Workbench {
    /// Brings the view up to date: the SAE that comes with the page for this model, then what it finds in the prompt.
    pub fn features_soon(self) {
        let ModelState::Ready(model) = self.model.get_untracked() else { return };
        let fits = self.features.with_untracked(|work| work.sae.model() == Some(&model.reference));
        if !fits {
            let named = self.experiment.with_untracked(|experiment| experiment.features.sae.clone());
            let own = shipped_for(&model.reference).map(String::from);
            match named.or(own) {
                Some(name) => self.load_sae(SaeSource::Shipped(name)),
                None => self.features.set(FeatureWork::default()),
            }
            return;
        }
        let pause = self.feature_pauses.with_value(|pauses| pauses + 1);
        self.feature_pauses.set_value(pause);
        gloo::timers::callback::Timeout::new(REST_MS, move || {
            if self.feature_pauses.get_value() == pause && !self.features_are_current() {
                self.read_features();
            }
        })
        .forget();
    }

    fn load_sae(self, source: SaeSource) {
        let ModelState::Ready(model) = self.model.get_untracked() else { return };
        let job = self.new_job();
        let sae = SaeState::Loading { job, model: model.reference };
        self.features.set(FeatureWork { sae, ..FeatureWork::default() });
        bridge::send(&Request::LoadSae { job, source });
    }

    /// Opens an SAE from the user's own files.
    pub fn open_sae(self, files: Vec<SaeFileBytes>) {
        self.dismiss_all();
        let name = files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ");
        // The files may be those of another, in which numbers mean other features.
        self.change("SAE", |experiment| experiment.features = Default::default());
        self.load_sae(SaeSource::Files { name, files });
    }

    fn features_are_current(self) -> bool {
        let now = self.experiment.with_untracked(|experiment| experiment.read());
        self.features.with_untracked(|work| work.of.as_ref() == Some(&now))
    }

    /// Reads the prompt by the SAE, in place of what is being read.
    pub fn read_features(self) {
        if self.features.with_untracked(|work| work.sae.info().is_none()) {
            return;
        }
        self.dismiss_all();
        self.stop_features();
        let job = self.new_job();
        let run = self.experiment.with_untracked(|experiment| experiment.read());
        self.features.update(|work| (work.job, work.progress, work.of) = (Some(job), None, Some(run.clone())));
        bridge::send(&Request::ReadFeatures { job, run });
    }

    pub fn stop_features(self) {
        if let Some(job) = self.features.with_untracked(|work| work.job) {
            self.cancel(job);
        }
    }

    /// Looks at a feature.
    pub fn look_at_feature(self, feature: u32) {
        self.change("feature", |experiment| experiment.features.feature = Some(feature));
    }

    /// Asks for the card of the feature that is looked at, unless it is there or on its way.
    pub fn ask_for_card(self, feature: u32) {
        let has = self.features.with_untracked(|work| {
            let asked = work.asked.is_some_and(|(_, asked)| asked == feature);
            work.sae.info().is_none_or(|info| feature >= info.features) || asked
        });
        if has {
            return;
        }
        let job = self.new_job();
        self.features.update(|work| (work.asked, work.card) = (Some((job, feature)), None));
        bridge::send(&Request::LookAtFeature { job, feature });
    }

    /// Keeps a feature in sight, or lets it go.
    pub fn pin_feature(self, feature: u32) {
        self.change("pinned features", |experiment| {
            let pinned = &mut experiment.features.pinned;
            match pinned.iter().position(|&other| other == feature) {
                Some(place) => drop(pinned.remove(place)),
                None if pinned.len() < PINNED_LIMIT => pinned.push(feature),
                None => {}
            }
        });
    }

    /// Makes the direction of the feature that is looked at the vector of the Steer view, and goes there.
    pub fn steer_with_feature(self) {
        let work = self.features.get_untracked();
        let (Some(card), Some(info)) = (&work.card, work.sae.info()) else { return };
        let Some(direction) = card.direction.clone() else { return };
        let layer = direction.layer;
        let name = format!("{} ({} #{})", title(card.feature, &info.labels), info.name, card.feature);
        let directions =
            Directions { method: "sae-feature".into(), layers: vec![direction], suggested: Some(layer), pairs: 0 };
        self.change("feature's direction", |experiment| {
            experiment.steer_with(directions, layer, &name);
        });
        self.show(View::Steer);
    }

    pub(super) fn on_sae_loaded(self, job: JobId, info: SaeInfo) {
        self.features.update(|work| {
            if let SaeState::Loading { job: current, model } = &work.sae
                && *current == job
            {
                work.sae = SaeState::Loaded { info, model: model.clone() };
            }
        });
        self.features_soon();
    }

    pub(super) fn on_features_read(self, job: JobId, text: FeatureText) {
        if self.features.with_untracked(|work| work.job == Some(job)) {
            self.features.update(|work| (work.job, work.progress, work.text) = (None, None, text));
        }
    }

    pub(super) fn on_feature(self, job: JobId, card: FeatureCard) {
        if self.features.with_untracked(|work| work.asked.is_some_and(|(asked, _)| asked == job)) {
            self.features.update(|work| work.card = Some(card));
        }
    }

    pub(super) fn on_features_progress(self, job: JobId, progress: &Progress) {
        if self.features.with_untracked(|work| work.job == Some(job)) {
            self.features.update(|work| work.progress = Some(progress.clone()));
        }
    }

    /// It ended without a result; what came before stays.
    pub(super) fn on_features_end(self, job: JobId) {
        self.features.update(|work| {
            if work.job == Some(job) {
                (work.job, work.progress) = (None, None);
            }
            if work.asked.is_some_and(|(asked, _)| asked == job) {
                work.asked = None;
            }
            if let SaeState::Loading { job: current, model } = &work.sae
                && *current == job
            {
                work.sae = SaeState::Failed { model: model.clone() };
            }
        });
    }
}
