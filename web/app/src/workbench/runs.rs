//! Writing: the plain and the steered run, and what they show.

use super::{EvidenceState, ModelState, Workbench};
use crate::bridge;
use leptos::prelude::*;
use tiller_protocol::{Lane, Request, RunSpec, WrittenToken};

/// What one lane has written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    pub state: RunState,
    pub job: u32,
    /// What it was asked to write.
    pub spec: Option<RunSpec>,
    pub tokens: Vec<WrittenToken>,
    /// The strength was changed on the way: the link alone does not give these tokens.
    pub mixed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunState {
    #[default]
    Idle,
    Writing,
    Done,
}

impl RunState {
    pub fn name(self) -> &'static str {
        match self {
            RunState::Idle => "idle",
            RunState::Writing => "writing",
            RunState::Done => "done",
        }
    }
}

impl Run {
    fn begin(&mut self, job: u32, spec: &RunSpec) {
        *self = Run { state: RunState::Writing, job, spec: Some(spec.clone()), ..Run::default() };
    }

    /// Ends it as it is.
    pub fn interrupt(&mut self) {
        if self.state == RunState::Writing {
            self.state = if self.tokens.is_empty() { RunState::Idle } else { RunState::Done };
        }
    }
}

/// After the slider comes to rest, this long until the text is written again.
const REST_MS: u32 = 300;
/// After a run, this long until its evidence is measured: the next thing the user does would end it.
const BEFORE_MEASURING_MS: u32 = 1500;

impl Workbench {
    pub fn writing(self) -> bool {
        let writes = |run: RwSignal<Run>| run.with(|run| run.state == RunState::Writing);
        writes(self.plain) || writes(self.steered)
    }

    /// Writes both runs; as soon as there is a model, if there is none yet.
    pub fn write(self) {
        self.pauses.update_value(|pauses| *pauses += 1);
        if !matches!(self.model.get_untracked(), ModelState::Ready(_)) {
            self.queued.set(true);
            return;
        }
        if self.awaits_sae() {
            self.queued.set(true);
            self.features_soon();
            return;
        }
        self.queued.set(false);
        self.write_lanes(&[Lane::Plain, Lane::Steered]);
    }

    /// Writes what was asked for before there was a model.
    pub(super) fn write_if_queued(self) {
        if self.queued.get_untracked() {
            self.write();
        }
    }

    fn write_lanes(self, lanes: &[Lane]) {
        let job = self.new_job();
        let mut run = self.experiment.get_untracked().run(lanes.to_vec());
        run.follow_features = self.follows_features();
        self.dismiss_all();
        self.evidence.set(EvidenceState::None);
        self.looked_at.set(None);
        for (lane, signal) in [(Lane::Plain, self.plain), (Lane::Steered, self.steered)] {
            if lanes.contains(&lane) {
                signal.update(|signal| signal.begin(job, &run));
            }
        }
        bridge::send(&Request::Write { job, run });
    }

    pub fn stop(self) {
        self.queued.set(false);
        for run in [self.plain, self.steered] {
            let (state, job) = run.with_untracked(|run| (run.state, run.job));
            if state == RunState::Writing {
                self.cancel(job);
            }
        }
    }

    /// Moves the slider: a run that is being written takes the new strength for its next token; else, once the slider
    /// rests, the steered text is written anew.
    pub fn set_strength(self, strength: f32) {
        self.change("strength", |experiment| experiment.strength = strength);
        let (state, job, has_edit) = self
            .steered
            .with_untracked(|run| (run.state, run.job, run.spec.as_ref().is_some_and(|spec| !spec.edits.is_empty())));
        if state == RunState::Writing && has_edit {
            self.steered.update(|run| run.mixed = true);
            bridge::send(&Request::SetStrength { job, edit: 0, strength });
        } else {
            self.write_again_soon();
        }
    }

    /// Writes the steered run again when nothing has changed for a moment; the plain one too where it is out of date.
    /// Nothing is written that was never asked for: only what is there is kept true.
    pub fn write_again_soon(self) {
        let pause = self.pauses.with_value(|pauses| pauses + 1);
        self.pauses.set_value(pause);
        gloo::timers::callback::Timeout::new(REST_MS, move || {
            let ready = matches!(self.model.get_untracked(), ModelState::Ready(_));
            let shown = self.steered.with_untracked(|run| run.state == RunState::Done);
            if self.pauses.get_value() != pause || !ready || !(shown || self.outdated_while_writing()) {
                return;
            }
            match self.plain_is_current() {
                true => self.write_lanes(&[Lane::Steered]),
                false => self.write(),
            }
        })
        .forget();
    }

    /// Whether what is being written is of an experiment that has changed by more than a strength, which a run takes
    /// on the way.
    fn outdated_while_writing(self) -> bool {
        let strengthless = |mut run: RunSpec| {
            run.lanes.clear();
            run.edits.iter_mut().for_each(|edit| edit.strength = 0.0);
            run.feature_edits.iter_mut().for_each(|edit| edit.strength = 0.0);
            run.follow_features = false;
            run
        };
        let now = strengthless(self.experiment.get_untracked().run(Vec::new()));
        self.steered.with_untracked(|run| {
            run.state == RunState::Writing && run.spec.as_ref().is_some_and(|spec| strengthless(spec.clone()) != now)
        })
    }

    fn plain_is_current(self) -> bool {
        let now = self.experiment.get_untracked().run(Vec::new());
        self.plain.with_untracked(|run| {
            run.state == RunState::Done
                && run.spec.as_ref().is_some_and(|spec| {
                    let follows = spec.follow_features || !self.follows_features();
                    (&spec.prompt, spec.sampling, spec.max_tokens) == (&now.prompt, now.sampling, now.max_tokens)
                        && follows
                })
        })
    }

    /// Measures once both runs are done and the user rests, where there is an effect to measure.
    pub(super) fn measure_soon(self) {
        let pause = self.pauses.get_value();
        gloo::timers::callback::Timeout::new(BEFORE_MEASURING_MS, move || {
            let undisturbed = self.pauses.get_value() == pause && !untrack(|| self.writing());
            if undisturbed && self.building.get_untracked().is_none() {
                self.measure();
            }
        })
        .forget();
    }

    /// Asks what the edits do and what they cost.
    pub fn measure(self) {
        let experiment = self.experiment.get_untracked();
        let ready = matches!(self.model.get_untracked(), ModelState::Ready(_));
        if !ready || !experiment.steers() {
            self.evidence.set(EvidenceState::None);
            return;
        }
        let job = self.new_job();
        self.evidence.set(EvidenceState::Measuring { job, progress: None });
        bridge::send(&Request::Measure { job, run: experiment.run(vec![Lane::Steered]) });
    }
}
