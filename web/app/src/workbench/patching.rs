//! Patching: what is asked, and what has been found so far.

use super::{ModelState, Workbench};
use crate::bridge;
use crate::patching::Findings;
use leptos::prelude::*;
use tiller_protocol::{Attention, JobId, PatchStep, Progress, Request};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct PatchReading {
    /// While it runs.
    pub job: Option<JobId>,
    pub progress: Option<Progress>,
    pub found: Findings,
    /// Whether everything that was asked for is there.
    pub whole: bool,
    /// A link asks for it, and there was no model yet.
    pub asked: bool,
    /// Where the heads of a layer look in the clean prompt.
    pub attention: Option<Attention>,
    /// The text and layer whose attention was asked for last, and the job that reads it.
    attention_of: Option<(JobId, String, u32)>,
}

impl PatchReading {
    /// Nothing yet; `asked`, as soon as there is a model.
    pub fn asked(asked: bool) -> PatchReading {
        PatchReading { asked, ..PatchReading::default() }
    }
}

impl Workbench {
    /// Runs what the view asks, in place of what is being run.
    pub fn run_patching(self) {
        if !matches!(self.model.get_untracked(), ModelState::Ready(_)) {
            return;
        }
        self.dismiss_all();
        self.stop_patching();
        let job = self.new_job();
        let patching = self.experiment.with_untracked(|experiment| experiment.patch.clone());
        self.patch.update(|patch| {
            patch.job = Some(job);
            patch.progress = None;
            patch.whole = false;
            patch.asked = false;
            patch.found = Findings::of(patching.clone());
        });
        bridge::send(&Request::Patch { job, patching });
    }

    pub fn stop_patching(self) {
        self.patch.update(|patch| patch.asked = false);
        if let Some(job) = self.patch.with_untracked(|patch| patch.job) {
            self.cancel(job);
        }
    }

    /// Asks where the heads of a layer look in the clean prompt that was run, unless that is known or asked already.
    pub fn look_at_attention(self, layer: u32) {
        let text = self.patch.with_untracked(|patch| patch.found.of.clean.clone());
        let same = self
            .patch
            .with_untracked(|patch| patch.attention_of.as_ref().is_some_and(|(_, of, at)| (of, *at) == (&text, layer)));
        if same || !matches!(self.model.get_untracked(), ModelState::Ready(_)) {
            return;
        }
        let job = self.new_job();
        self.patch.update(|patch| {
            patch.attention = None;
            patch.attention_of = Some((job, text.clone(), layer));
        });
        bridge::send(&Request::ReadAttention { job, text, layer });
    }

    fn patches(self, job: JobId) -> bool {
        self.patch.with_untracked(|patch| patch.job == Some(job))
    }

    pub(super) fn on_patch_step(self, job: JobId, step: PatchStep) {
        if self.patches(job) {
            self.patch.update(|patch| patch.found.take(step));
        }
    }

    pub(super) fn on_patched(self, job: JobId) {
        if self.patches(job) {
            self.patch.update(|patch| (patch.job, patch.progress, patch.whole) = (None, None, true));
        }
    }

    pub(super) fn on_attention(self, job: JobId, attention: Attention) {
        self.patch.update(|patch| {
            if patch.attention_of.as_ref().is_some_and(|(asked, ..)| *asked == job) {
                patch.attention = Some(attention);
            }
        });
    }

    pub(super) fn on_patch_progress(self, job: JobId, progress: &Progress) {
        if self.patches(job) {
            self.patch.update(|patch| patch.progress = Some(progress.clone()));
        }
    }

    /// It ended without a result; what came so far stays.
    pub(super) fn on_patch_end(self, job: JobId) {
        self.patch.update(|patch| {
            if patch.job == Some(job) {
                (patch.job, patch.progress) = (None, None);
            }
            if patch.attention_of.as_ref().is_some_and(|(asked, ..)| *asked == job) {
                patch.attention_of = None;
            }
        });
    }
}
