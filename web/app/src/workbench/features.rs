//! Features: the sparse autoencoder, what it finds in the prompt, and the feature that is looked at.

use super::{ModelState, Workbench};
use crate::bridge;
use crate::features::{Name, names, shipped_for, title};
use leptos::prelude::*;
use tiller_protocol::{
    Directions, FeatureCard, FeatureContrast, FeatureLoss, FeatureText, JobId, Progress, Request, RunSpec,
    SaeFileBytes, SaeInfo, SaeSource,
};
use tiller_recipe::{Features, HubSae, LABEL_CHARS, LABELS_LIMIT, PINNED_LIMIT, Prompt, SaeRef, Unsaid, View};
use tiller_sites::ModelRef;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureWork {
    pub sae: SaeState,
    /// What the tensors of one's own file of no known layout could be, until it is used.
    pub mapping: Option<String>,
    /// While the prompt is read.
    pub job: Option<JobId>,
    pub progress: Option<Progress>,
    /// What was read last, or is being read.
    of: Option<RunSpec>,
    pub text: FeatureText,
    /// The feature that was asked for last, and the job that brings it.
    asked: Option<(JobId, u32)>,
    pub card: Option<FeatureCard>,
    /// While it is measured what the model loses without a feature.
    pub ablating: Option<JobId>,
    pub loss: Option<FeatureLoss>,
    /// While the prompt is held against another text.
    pub contrasting: Option<JobId>,
    /// What tells the two apart, and what they were.
    pub contrast: Option<([Prompt; 2], FeatureContrast)>,
}

/// The sparse autoencoder, with what it was loaded for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum SaeState {
    #[default]
    None,
    /// It would have to be downloaded, and someone else named it: the user is asked.
    Asked(HubSae, SaeOf),
    Loading {
        job: JobId,
        of: SaeOf,
        progress: Option<Progress>,
    },
    Loaded {
        info: SaeInfo,
        of: SaeOf,
    },
    /// What went wrong was said; it is not tried again unasked.
    Failed(SaeOf),
}

/// The model that an SAE was loaded for, and which SAE it is; `None`: one of the user's own.
#[derive(Clone, Debug, PartialEq)]
pub struct SaeOf {
    model: ModelRef,
    sae: Option<SaeRef>,
}

impl SaeState {
    pub fn info(&self) -> Option<&SaeInfo> {
        match self {
            SaeState::Loaded { info, .. } => Some(info),
            _ => None,
        }
    }

    fn of(&self) -> Option<&SaeOf> {
        match self {
            SaeState::None => None,
            SaeState::Asked(_, of)
            | SaeState::Loading { of, .. }
            | SaeState::Loaded { of, .. }
            | SaeState::Failed(of) => Some(of),
        }
    }
}

impl FeatureWork {
    /// What is being loaded by this job.
    fn loading(&self, job: JobId) -> Option<SaeOf> {
        match &self.sae {
            SaeState::Loading { job: current, of, .. } if *current == job => Some(of.clone()),
            _ => None,
        }
    }
}

/// After a change, this long until the prompt is read again.
const REST_MS: u32 = 400;

impl FeatureWork {
    /// Of one of the user's own, by which nothing has been read yet; `sae` where the experiment can name it.
    pub(super) fn of_own(info: SaeInfo, model: ModelRef, sae: Option<SaeRef>) -> FeatureWork {
        FeatureWork { sae: SaeState::Loaded { info, of: SaeOf { model, sae } }, ..FeatureWork::default() }
    }
}

impl Workbench {
    /// Brings the view up to date: the SAE that the experiment names, or else the one that comes with the page for this
    /// model, then what it finds in the prompt.
    pub fn features_soon(self) {
        let ModelState::Ready(model) = self.model.get_untracked() else { return };
        let named = self.experiment.with_untracked(|experiment| experiment.features.sae.clone());
        let wanted = named.clone().or_else(|| shipped_for(&model.reference).map(|name| SaeRef::Shipped(name.into())));
        let fits = self.features.with_untracked(|work| {
            // One's own SAE stays until another is named.
            let is_wanted = |of: &SaeOf| of.sae == wanted || of.sae.is_none() && named.is_none();
            work.sae.of().is_some_and(|of| of.model == model.reference && is_wanted(of))
        });
        if !fits {
            match wanted {
                Some(sae) => self.load_named_sae(sae),
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

    fn load_named_sae(self, named: SaeRef) {
        let source = match named.clone() {
            SaeRef::Shipped(name) => SaeSource::Shipped(name),
            SaeRef::OnHub(sae) => {
                // Whatever is not the page's own is someone else's word until the user agrees.
                let agreed = self.agreed.with_value(|agreed| agreed.contains(&sae.weights));
                SaeSource::Hub { sae, download: agreed }
            }
        };
        self.load_sae(source, Some(named));
    }

    fn load_sae(self, source: SaeSource, named: Option<SaeRef>) {
        let ModelState::Ready(model) = self.model.get_untracked() else { return };
        if let SaeState::Loading { job, .. } = self.features.with_untracked(|work| work.sae.clone()) {
            self.cancel(job);
        }
        let job = self.new_job();
        let of = SaeOf { model: model.reference, sae: named };
        let sae = SaeState::Loading { job, of, progress: None };
        self.features.set(FeatureWork { sae, ..FeatureWork::default() });
        bridge::send(&Request::LoadSae { job, source });
    }

    /// Opens an SAE from the user's own files.
    pub fn open_sae(self, files: Vec<SaeFileBytes>, unsaid: Unsaid) {
        self.dismiss_all();
        let name = files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ");
        // The files may be those of another, in which numbers mean other features.
        self.change("SAE", |experiment| experiment.features = Features::default());
        self.load_sae(SaeSource::Files { name, files, unsaid }, None);
    }

    /// Opens the files that were opened last by what their tensors are said to be.
    pub fn map_sae(self, mapping: String) {
        self.dismiss_all();
        self.load_sae(SaeSource::Mapped { mapping: mapping.clone() }, None);
        // If it cannot be read so, it can be said otherwise.
        self.features.update(|work| work.mapping = Some(mapping));
    }

    /// Opens an SAE of the hub: the user has chosen it, or agreed to it.
    pub fn choose_sae(self, sae: HubSae) {
        self.dismiss_all();
        self.agreed.update_value(|agreed| agreed.push(sae.weights.clone()));
        let named = SaeRef::OnHub(sae);
        let is_new = self.experiment.with_untracked(|experiment| experiment.features.sae.as_ref() != Some(&named));
        if is_new {
            self.change("SAE", |experiment| {
                experiment.features = Features { sae: Some(named.clone()), ..Features::default() };
            });
        }
        self.load_named_sae(named);
    }

    /// Back to the SAE that comes with the page, if there is one for this model.
    pub fn use_shipped_sae(self) {
        self.change("SAE", |experiment| experiment.features = Features::default());
        self.features.set(FeatureWork::default());
        self.features_soon();
    }

    /// Tries again what failed.
    pub fn reload_sae(self) {
        self.dismiss_all();
        self.features.set(FeatureWork::default());
        self.features_soon();
    }

    pub fn stop_loading_sae(self) {
        if let SaeState::Loading { job, .. } = self.features.with_untracked(|work| work.sae.clone()) {
            self.cancel(job);
        }
    }

    /// What features are called.
    pub fn feature_names(self) -> Vec<(u32, Name)> {
        let own = self.experiment.with(|experiment| experiment.features.labels.clone());
        self.features.with(|work| names(&own, work.sae.info().map_or(&[], |info| &info.labels)))
    }

    /// Gives a feature a name of one's own; an empty one takes it away.
    pub fn name_feature(self, feature: u32, name: &str) {
        let name: String = name.trim().chars().take(LABEL_CHARS).collect();
        let is_new = self.experiment.with_untracked(|experiment| {
            let own = experiment.features.labels.iter().find(|(named, _)| *named == feature);
            own.map_or("", |(_, own)| own) != name
        });
        if !is_new {
            return;
        }
        self.change("feature's name", |experiment| {
            let labels = &mut experiment.features.labels;
            labels.retain(|(named, _)| *named != feature);
            if !name.is_empty() && labels.len() < LABELS_LIMIT {
                labels.push((feature, name));
            }
        });
    }

    /// Asks which features tell the prompt and another text apart.
    pub fn contrast_features(self) {
        let texts = self.experiment.with_untracked(|experiment| {
            let other = experiment.features.against.clone().filter(|text| !text.trim().is_empty())?;
            Some([experiment.read().prompt, Prompt::Text(other)])
        });
        let Some(texts) = texts.filter(|_| self.features.with_untracked(|work| work.sae.info().is_some())) else {
            return;
        };
        self.dismiss_all();
        self.stop_contrasting();
        let job = self.new_job();
        self.features.update(|work| (work.contrasting, work.progress) = (Some(job), None));
        bridge::send(&Request::ContrastFeatures { job, texts: texts.clone() });
        self.features.update(|work| work.contrast = Some((texts, FeatureContrast::default())));
    }

    pub fn stop_contrasting(self) {
        if let Some(job) = self.features.with_untracked(|work| work.contrasting) {
            self.cancel(job);
        }
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

    /// Asks what the model loses without a feature.
    pub fn ablate_feature(self, feature: u32) {
        self.dismiss_all();
        self.stop_ablating();
        let job = self.new_job();
        self.features.update(|work| (work.ablating, work.progress, work.loss) = (Some(job), None, None));
        bridge::send(&Request::AblateFeature { job, feature });
    }

    pub fn stop_ablating(self) {
        if let Some(job) = self.features.with_untracked(|work| work.ablating) {
            self.cancel(job);
        }
    }

    pub(super) fn on_feature_ablated(self, job: JobId, loss: FeatureLoss) {
        if self.features.with_untracked(|work| work.ablating == Some(job)) {
            self.features.update(|work| (work.ablating, work.progress, work.loss) = (None, None, Some(loss)));
        }
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
        let name = format!("{} ({} #{})", title(card.feature, &self.feature_names()), info.name, card.feature);
        let directions =
            Directions { method: "sae-feature".into(), layers: vec![direction], suggested: Some(layer), pairs: 0 };
        self.change("feature's direction", |experiment| {
            experiment.steer_with(directions, layer, &name);
        });
        self.show(View::Steer);
    }

    pub(super) fn on_sae_loaded(self, job: JobId, info: SaeInfo) {
        self.features.update(|work| {
            if let Some(of) = work.loading(job) {
                (work.sae, work.mapping) = (SaeState::Loaded { info, of }, None);
            }
        });
        self.write_if_queued();
        self.features_soon();
    }

    pub(super) fn on_sae_unmapped(self, job: JobId, mapping: String) {
        self.features.update(|work| {
            if let Some(of) = work.loading(job) {
                (work.sae, work.mapping) = (SaeState::Failed(of), Some(mapping));
            }
        });
    }

    pub(super) fn on_sae_not_here(self, job: JobId, sae: HubSae) {
        self.features.update(|work| {
            if let Some(of) = work.loading(job) {
                work.sae = SaeState::Asked(sae, of);
            }
        });
    }

    pub(super) fn on_features_contrasted(self, job: JobId, contrast: FeatureContrast) {
        if self.features.with_untracked(|work| work.contrasting == Some(job)) {
            self.features.update(|work| {
                (work.contrasting, work.progress) = (None, None);
                if let Some((_, found)) = &mut work.contrast {
                    *found = contrast;
                }
            });
        }
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
        self.features.update(|work| match &mut work.sae {
            SaeState::Loading { job: current, progress: shown, .. } if *current == job => {
                *shown = Some(progress.clone());
            }
            _ if [work.job, work.contrasting, work.ablating].contains(&Some(job)) => {
                work.progress = Some(progress.clone())
            }
            _ => {}
        });
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
            if work.ablating == Some(job) {
                (work.ablating, work.progress) = (None, None);
            }
            if work.contrasting == Some(job) {
                (work.contrasting, work.progress, work.contrast) = (None, None, None);
            }
            if let Some(of) = work.loading(job) {
                work.sae = SaeState::Failed(of);
                // What waited for it cannot be written.
                self.queued.set(false);
            }
        });
    }
}
