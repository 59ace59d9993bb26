//! Training a sparse autoencoder on the user's own text.

use super::{FeatureWork, ModelState, Workbench};
use crate::bridge;
use crate::training::push;
use gloo::events::{EventListener, EventListenerOptions};
use leptos::prelude::*;
use tiller_protocol::{
    Failure, JobId, Progress, Request, SaeInfo, TRAINED, TrainDevice, TrainEvent, TrainMethod, TrainRequest, TrainSpec,
    TrainStep, TrainedQuality, TrainingText,
};
use tiller_recipe::{Features, HubSae, SaeRef, Unsaid};
use tiller_sites::ModelRef;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainingWork {
    /// What it is to be trained on.
    pub own_text: String,
    pub form: TrainForm,
    pub state: TrainState,
    /// While the text is read.
    pub progress: Option<Progress>,
    /// What was made of the text.
    pub text: Option<TrainingText>,
    pub steps: Vec<TrainStep>,
    /// Whether it is being judged.
    pub judging: bool,
    /// The model whose activations are read.
    model: Option<ModelRef>,
    /// How good it is, what was trained last.
    trained: Option<TrainedQuality>,
    /// Its weights have not been saved.
    unsaved: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrainState {
    #[default]
    None,
    /// `pausing`: the user wants it to. Where it pauses unasked, for another job, it goes on after that.
    Running {
        job: JobId,
        pausing: bool,
    },
    Paused,
}

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainForm {
    /// Of the model that the block is of.
    pub layers: u32,
    pub block: u32,
    /// The part of the block whose output is read, as TransformerLens names it.
    pub hook: &'static str,
    pub features: u32,
    pub method: TrainMethod,
    pub k: u32,
    pub sparsity: f32,
    pub steps: u32,
    pub learning_rate: f32,
    pub seed: u32,
    pub device: TrainDevice,
}

impl Default for TrainForm {
    fn default() -> TrainForm {
        TrainForm {
            layers: 0,
            block: 0,
            hook: "hook_resid_post",
            features: 512,
            method: TrainMethod::default(),
            k: 16,
            sparsity: 2.0,
            steps: 1000,
            learning_rate: 1e-3,
            seed: 1,
            device: TrainDevice::default(),
        }
    }
}

impl Workbench {
    pub fn change_training(self, change: impl FnOnce(&mut TrainForm)) {
        self.training.update(|work| change(&mut work.form));
    }

    /// Reads the text, and trains on it, in the place of what was being trained.
    pub fn begin_training(self) {
        let ModelState::Ready(model) = self.model.get_untracked() else { return };
        self.dismiss_all();
        let work = self.training.get_untracked();
        let TrainForm { block, hook, features, method, k, sparsity, steps, learning_rate, seed, device, .. } =
            work.form;
        let site = format!("blocks.{block}.{hook}");
        let texts = vec![work.own_text.clone()];
        let spec = TrainSpec { texts, site, features, method, k, sparsity, steps, learning_rate, seed, device };
        self.training.update(|work| {
            (work.text, work.model) = (None, Some(model.reference));
            work.steps.clear();
        });
        self.ask_training(TrainRequest::Begin(spec));
    }

    pub fn pause_training(self) {
        if let TrainState::Running { job, .. } = self.training.with_untracked(|work| work.state) {
            self.training.update(|work| work.state = TrainState::Running { job, pausing: true });
            self.cancel(job);
        }
    }

    pub fn resume_training(self) {
        self.ask_training(TrainRequest::Resume);
    }

    /// Ends it: what it has learnt is loaded.
    pub fn keep_training(self) {
        self.pause_training();
        self.ask_training(TrainRequest::Keep);
    }

    pub fn discard_training(self) {
        self.pause_training();
        self.ask_training(TrainRequest::Discard);
    }

    fn ask_training(self, what: TrainRequest) {
        let job = self.new_job();
        self.training.update(|work| {
            work.state = TrainState::Running { job, pausing: false };
            (work.progress, work.judging) = (None, false);
        });
        bridge::send(&Request::Train { job, what });
    }

    /// How good it is, what was trained, as long as it is the one that is loaded.
    pub fn trained(self) -> Option<TrainedQuality> {
        let is_loaded = self.features.with(|work| work.sae.info().is_some_and(|info| info.name == TRAINED));
        self.training.with(|work| work.trained).filter(|_| is_loaded)
    }

    /// Saves a file of what was trained.
    pub fn save_trained(self, file: &'static str) {
        let job = self.new_job();
        if file.ends_with(".safetensors") {
            self.training.update(|work| work.unsaved = false);
        }
        bridge::send(&Request::SaveTrained { job, file: file.into() });
    }

    /// Has the browser ask before a training, or what came of it, is lost.
    pub(super) fn warn_before_leaving(self) {
        let options = EventListenerOptions::enable_prevent_default();
        let window = crate::address::window();
        EventListener::new_with_options(&window, "beforeunload", options, move |event| {
            let loses = |work: &TrainingWork| {
                let going_on = work.state != TrainState::None && !work.steps.is_empty();
                going_on || (work.unsaved && work.trained.is_some())
            };
            if self.training.with_untracked(loses) {
                event.prevent_default();
            }
        })
        .forget();
    }

    pub(super) fn on_training(self, job: JobId, step: TrainEvent) {
        let TrainState::Running { job: current, pausing } = self.training.with_untracked(|work| work.state) else {
            return;
        };
        if current != job {
            return;
        }
        match step {
            TrainEvent::Text(text) => self.training.update(|work| {
                // A job that begins again after a lost GPU begins with the text.
                work.steps.clear();
                work.text = Some(text);
            }),
            TrainEvent::Step(step) => self.training.update(|work| {
                work.progress = None;
                push(&mut work.steps, step);
            }),
            TrainEvent::Judging => self.training.update(|work| work.judging = true),
            TrainEvent::Paused => {
                let ready = self.model.with_untracked(|model| matches!(model, ModelState::Ready(_)));
                self.training.update(|work| work.state = TrainState::Paused);
                if !pausing && ready {
                    self.resume_training();
                }
            }
            TrainEvent::Stuck { step, reason } => {
                self.training.update(|work| work.state = TrainState::Paused);
                let remedy = match step {
                    0 => "Nothing had been brought back: discard it, and train on the CPU.".to_string(),
                    step => format!("What was learnt by step {step} is here: stop and keep it, or discard it."),
                };
                let message = format!("It cannot go on, because {reason}. {remedy}");
                self.notice(Failure::new("The training came to an end", message, false));
            }
            TrainEvent::Discarded => self.training.update(|work| {
                work.state = TrainState::None;
                (work.text, work.progress) = (None, None);
                work.steps.clear();
            }),
            TrainEvent::Trained { sae, quality, kept } => self.on_trained(sae, quality, kept),
        }
    }

    fn on_trained(self, sae: SaeInfo, quality: TrainedQuality, kept: Option<ModelRef>) {
        let model = self.training.with_untracked(|work| work.model.clone());
        self.training.update(|work| {
            (work.state, work.judging, work.unsaved) = (TrainState::None, false, kept.is_none());
            work.trained = Some(quality);
        });
        let Some(model) = model else { return };
        // Of another, numbers mean other features.
        let named = kept.map(|weights| SaeRef::OnHub(HubSae { weights, unsaid: Unsaid::default() }));
        self.change("SAE", |experiment| {
            experiment.features = Features { sae: named.clone(), ..Features::default() };
        });
        self.features.set(FeatureWork::of_own(sae, model, named));
        self.features_soon();
    }

    pub(super) fn on_training_progress(self, job: JobId, progress: &Progress) {
        let own = |work: &TrainingWork| matches!(work.state, TrainState::Running { job: own, .. } if own == job);
        if self.training.with_untracked(own) {
            self.training.update(|work| work.progress = Some(progress.clone()));
        }
    }

    /// It ended without a result. What failed is gone; what was cancelled before it began is as it was.
    pub(super) fn on_training_end(self, job: JobId, failure: Option<&Failure>) {
        let own = |work: &TrainingWork| matches!(work.state, TrainState::Running { job: own, .. } if own == job);
        if self.training.with_untracked(own) {
            self.training.update(|work| {
                let goes_on = failure.is_none() && work.text.is_some();
                work.state = if goes_on { TrainState::Paused } else { TrainState::None };
                (work.progress, work.judging) = (None, false);
            });
        }
    }

    /// The worker is gone, and with it what it was doing and what came of that.
    pub(super) fn forget_training(self) {
        self.training.update(|work| {
            work.state = TrainState::None;
            (work.progress, work.judging, work.text, work.trained) = (None, false, None, None);
            work.steps.clear();
        });
    }

    /// A model was loaded: a training of another is gone.
    pub(super) fn training_of(self, model: &ModelRef) {
        if self.training.with_untracked(|work| work.model.as_ref().is_some_and(|own| own != model)) {
            self.forget_training();
        }
    }
}
