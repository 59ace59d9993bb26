//! The lens: what it reads, and what it has found so far.

use super::{ModelState, Workbench};
use crate::bridge;
use crate::lens::Findings;
use leptos::prelude::*;
use tiller_protocol::{JobId, LensLayer, LensText, LensTuning, Progress, Request, RunSpec};
use tiller_recipe::FOLLOWED_LIMIT;
use tiller_sites::ModelRef;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct LensReading {
    /// While it reads.
    pub job: Option<JobId>,
    pub progress: Option<Progress>,
    /// What was read last, or is being read.
    pub of: Option<ToRead>,
    pub found: Findings,
    /// Whether all layers are there.
    pub whole: bool,
    /// The lens that was trained here, and for which model.
    pub tuning: Option<(ModelRef, LensTuning)>,
}

impl LensReading {
    /// Of the tuned lens of `model`, if there is one.
    pub fn tuning_of(&self, model: &ModelRef) -> Option<&LensTuning> {
        self.tuning.as_ref().filter(|(of, _)| of == model).map(|(_, tuning)| tuning)
    }
}

/// What there is to read, and by which model. Of another model the same text is read anew.
#[derive(Clone, Debug, PartialEq)]
pub struct ToRead {
    model: ModelRef,
    run: RunSpec,
    follow: Vec<String>,
    tuned: bool,
}

/// After a change, this long until it is read again.
const REST_MS: u32 = 500;

impl Workbench {
    fn to_read(self) -> ToRead {
        self.experiment.with_untracked(|experiment| ToRead {
            model: experiment.model.clone(),
            run: experiment.read(),
            follow: experiment.lens.follow.clone(),
            tuned: experiment.lens.tuned,
        })
    }

    /// Whether the lens shows the experiment as it is, or is on its way to.
    fn lens_is_current(self) -> bool {
        let now = self.to_read();
        self.lens.with_untracked(|lens| (lens.whole || lens.job.is_some()) && lens.of.as_ref() == Some(&now))
    }

    /// Reads the prompt through the lens, in place of what is being read.
    pub fn read_lens(self) {
        if !matches!(self.model.get_untracked(), ModelState::Ready(_)) {
            return;
        }
        self.dismiss_all();
        self.stop_lens();
        let job = self.new_job();
        let of = self.to_read();
        // What was found before stays to be looked at until the first layer comes.
        self.lens.update(|lens| {
            lens.job = Some(job);
            lens.progress = None;
            lens.of = Some(of.clone());
            lens.whole = false;
        });
        let ToRead { run, follow, tuned, .. } = of;
        bridge::send(&Request::ReadLens { job, run, follow, tuned });
    }

    /// Whether a lens has to be trained before anything can be read through it.
    pub fn lens_needs_training(self) -> bool {
        self.experiment.with(|experiment| {
            experiment.lens.tuned && self.lens.with(|lens| lens.tuning_of(&experiment.model).is_none())
        })
    }

    /// Reads it unless it has been, when nothing has changed for a moment.
    pub fn read_lens_soon(self) {
        let pause = self.lens_pauses.with_value(|pauses| pauses + 1);
        self.lens_pauses.set_value(pause);
        gloo::timers::callback::Timeout::new(REST_MS, move || {
            if self.lens_pauses.get_value() == pause && !self.lens_is_current() {
                self.read_lens();
            }
        })
        .forget();
    }

    /// Follows one more token through the layers, if it is not followed yet and there is room.
    pub fn follow(self, token: String) {
        self.change("lens", |experiment| {
            let follow = &mut experiment.lens.follow;
            if !follow.contains(&token) && follow.len() < FOLLOWED_LIMIT {
                follow.push(token);
            }
        });
    }

    pub fn stop_lens(self) {
        if let Some(job) = self.lens.with_untracked(|lens| lens.job) {
            self.cancel(job);
        }
    }

    fn lens_runs(self, job: JobId) -> bool {
        self.lens.with_untracked(|lens| lens.job == Some(job))
    }

    pub(super) fn on_lens_text(self, job: JobId, text: LensText) {
        if self.lens_runs(job) {
            self.lens.update(|lens| lens.found = Findings { text, layers: Vec::new() });
        }
    }

    pub(super) fn on_lens_layer(self, job: JobId, layer: LensLayer) {
        if self.lens_runs(job) {
            self.lens.update(|lens| lens.found.layers.push(layer));
        }
    }

    pub(super) fn on_lens_tuned(self, job: JobId, tuning: LensTuning) {
        if self.lens_runs(job) {
            self.lens.update(|lens| lens.tuning = lens.of.as_ref().map(|of| (of.model.clone(), tuning)));
        }
    }

    pub(super) fn on_lens_read(self, job: JobId) {
        if self.lens_runs(job) {
            self.lens.update(|lens| (lens.job, lens.progress, lens.whole) = (None, None, true));
        }
    }

    pub(super) fn on_lens_progress(self, job: JobId, progress: &Progress) {
        if self.lens_runs(job) {
            self.lens.update(|lens| lens.progress = Some(progress.clone()));
        }
    }

    /// It ended without a result; what came so far stays.
    pub(super) fn on_lens_end(self, job: JobId) {
        if self.lens_runs(job) {
            self.lens.update(|lens| (lens.job, lens.progress) = (None, None));
        }
    }
}
