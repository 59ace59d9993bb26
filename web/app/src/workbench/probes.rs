//! Probes: what is fitted, read and erased, and what was found so far.

use super::{ModelState, Workbench};
use crate::bridge;
use crate::probes::Findings;
use leptos::prelude::*;
use tiller_protocol::{
    Directions, Failure, JobId, LayerDirection, ProbeErasure, ProbeLayer, ProbeSpec, ProbeSummary, ProbedText,
    Progress, Request,
};
use tiller_recipe::{Probe, Prompt, View, classes};
use tiller_sites::ModelRef;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProbeWork {
    /// While probes are fitted.
    pub job: Option<JobId>,
    pub progress: Option<Progress>,
    /// What was fitted last, or is being fitted, and in which model.
    pub of: Option<(ModelRef, Probe)>,
    pub found: Findings,
    /// While a text is read.
    pub reading: Option<JobId>,
    /// The text that was read, and by the probe of which block.
    pub text: Option<(u32, Prompt, ProbedText)>,
    /// While the labels are erased.
    pub erasing: Option<JobId>,
    pub erased: Option<ProbeErasure>,
    /// A link asked for probes before there was a model.
    pub asked: bool,
}

impl ProbeWork {
    /// The block that is looked at: the chosen one, the best one, or the last one there is.
    pub fn block(&self, chosen: Option<u32>) -> Option<u32> {
        let best = self.found.summary.as_ref().map(|summary| summary.best);
        let there = |block: &u32| self.found.at(*block).is_some();
        chosen.filter(there).or(best.filter(there)).or_else(|| self.found.layers.last().map(|layer| layer.block))
    }
}

impl Workbench {
    fn probe_now(self) -> (ModelRef, Probe) {
        // Which layer is looked at changes nothing about what is fitted.
        self.experiment.with_untracked(|now| (now.model.clone(), Probe { layer: None, ..now.probe.clone() }))
    }

    /// Whether what was found is not of the dataset, method and model that are set now.
    pub fn probes_are_stale(self) -> bool {
        let now = self.experiment.with(|now| (now.model.clone(), Probe { layer: None, ..now.probe.clone() }));
        self.probes.with(|work| work.of.as_ref().is_some_and(|of| *of != now))
    }

    fn probe_spec(self) -> Option<ProbeSpec> {
        let probe = self.experiment.with_untracked(|experiment| experiment.probe.clone());
        let rows = probe.data.rows();
        if let Err(error) = classes(&rows) {
            self.notice(Failure::new("The dataset cannot be used", error, false));
            return None;
        }
        Some(ProbeSpec { rows, method: probe.method, read: probe.read })
    }

    /// Fits probes at every layer, in place of what is being fitted.
    pub fn fit_probes(self) {
        if !matches!(self.model.get_untracked(), ModelState::Ready(_)) {
            return;
        }
        self.dismiss_all();
        self.stop_probes();
        let Some(spec) = self.probe_spec() else { return };
        let job = self.new_job();
        let of = self.probe_now();
        let found = Findings { rows: spec.rows.clone(), method: spec.method.clone(), ..Findings::default() };
        self.probes.set(ProbeWork { job: Some(job), of: Some(of), found, ..ProbeWork::default() });
        bridge::send(&Request::FitProbes { job, spec });
    }

    pub fn stop_probes(self) {
        self.probes.update(|work| work.asked = false);
        let jobs = self.probes.with_untracked(|work| [work.job, work.reading, work.erasing]);
        jobs.into_iter().flatten().for_each(|job| self.cancel(job));
    }

    /// The block of the probe that is looked at.
    pub fn probed_block(self) -> Option<u32> {
        let chosen = self.experiment.with(|experiment| experiment.probe.layer);
        self.probes.with(|work| work.block(chosen))
    }

    /// Looks at another block's probe.
    pub fn look_at_probe(self, block: u32) {
        self.change("probed layer", |experiment| experiment.probe.layer = Some(block));
    }

    /// Reads every token of the prompt by the probe that is looked at.
    pub fn probe_text(self) {
        let Some(block) = untrack(|| self.probed_block()) else { return };
        let probe = self.probes.with_untracked(|work| work.found.at(block).map(|layer| layer.probe.clone()));
        let Some(probe) = probe else { return };
        self.dismiss_all();
        let job = self.new_job();
        let prompt = self.experiment.with_untracked(|experiment| experiment.read().prompt);
        self.probes.update(|work| (work.reading, work.text) = (Some(job), Some((block, prompt.clone(), empty_text()))));
        bridge::send(&Request::ProbeText { job, block, probe, prompt });
    }

    /// Erases the labels at the block that is looked at, and measures again.
    pub fn erase_probe(self) {
        let Some(block) = untrack(|| self.probed_block()) else { return };
        self.dismiss_all();
        let Some(spec) = self.probe_spec() else { return };
        let job = self.new_job();
        self.probes.update(|work| (work.erasing, work.erased, work.progress) = (Some(job), None, None));
        bridge::send(&Request::EraseProbe { job, spec, block });
    }

    /// Makes the probes' directions the vector of the Steer view, and goes there.
    pub fn steer_with_probe(self) {
        let Some(block) = untrack(|| self.probed_block()) else { return };
        let work = self.probes.get_untracked();
        let name = match &work.found.summary {
            Some(summary) => format!("{} − {} (probe)", summary.classes[0], summary.classes[1]),
            None => "Probe".into(),
        };
        let direction = |layer: &ProbeLayer| LayerDirection {
            layer: layer.block,
            direction: layer.probe.direction.clone(),
            norm: layer.probe.norm,
            typical_norm: layer.typical_norm,
            separability: None,
        };
        let directions = Directions {
            method: format!("probe-{}", work.found.method),
            layers: work.found.layers.iter().map(direction).collect(),
            suggested: work.found.summary.as_ref().map(|summary| summary.best),
            pairs: 0,
        };
        self.change("probe's direction", |experiment| {
            experiment.steer_with(directions, block, &name);
        });
        self.show(View::Steer);
    }

    pub(super) fn on_probe_layer(self, job: JobId, layer: ProbeLayer) {
        if self.probes.with_untracked(|work| work.job == Some(job)) {
            self.probes.update(|work| {
                // A job that begins again after a lost GPU begins with the first block.
                work.found.layers.retain(|known| known.block < layer.block);
                work.found.layers.push(layer);
            });
        }
    }

    pub(super) fn on_probes_fitted(self, job: JobId, summary: ProbeSummary) {
        if self.probes.with_untracked(|work| work.job == Some(job)) {
            self.probes.update(|work| {
                (work.job, work.progress) = (None, None);
                work.found.summary = Some(summary);
            });
        }
    }

    pub(super) fn on_text_probed(self, job: JobId, text: ProbedText) {
        if self.probes.with_untracked(|work| work.reading == Some(job)) {
            self.probes.update(|work| {
                work.reading = None;
                if let Some((_, _, shown)) = &mut work.text {
                    *shown = text;
                }
            });
        }
    }

    pub(super) fn on_probe_erased(self, job: JobId, erasure: ProbeErasure) {
        if self.probes.with_untracked(|work| work.erasing == Some(job)) {
            self.probes.update(|work| (work.erasing, work.erased, work.progress) = (None, Some(erasure), None));
        }
    }

    pub(super) fn on_probes_progress(self, job: JobId, progress: &Progress) {
        if self.probes.with_untracked(|work| work.job == Some(job) || work.erasing == Some(job)) {
            self.probes.update(|work| work.progress = Some(progress.clone()));
        }
    }

    /// It ended without a result; what came so far stays.
    pub(super) fn on_probes_end(self, job: JobId) {
        let own = |work: &ProbeWork| [work.job, work.reading, work.erasing].contains(&Some(job));
        if self.probes.with_untracked(own) {
            self.probes.update(|work| {
                if work.reading == Some(job) {
                    (work.reading, work.text) = (None, None);
                } else {
                    work.progress = None;
                    work.job = work.job.filter(|&own| own != job);
                    work.erasing = work.erasing.filter(|&own| own != job);
                }
            });
        }
    }

    /// The worker is gone, and with it what it was doing.
    pub(super) fn forget_probe_work(self) {
        self.probes.update(|work| {
            (work.job, work.reading, work.erasing, work.progress) = (None, None, None, None);
        });
    }
}

fn empty_text() -> ProbedText {
    ProbedText { tokens: Vec::new() }
}
