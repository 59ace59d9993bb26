//! What the worker says, and what follows from it.

use super::{EvidenceState, ModelState, RunState, Workbench};
use crate::experiment::{ChosenVector, Experiment};
use crate::settings;
use leptos::prelude::*;
use std::sync::Arc;
use tiller_protocol::{Directions, End, Event, Failure, JobId, Lane, Progress, WrittenToken};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Blob, HtmlAnchorElement, Url};

impl Workbench {
    pub(super) fn on_event(self, event: Event) {
        match event {
            Event::Ready(report) => {
                self.backend.set(Some(report));
                self.load_model();
                self.list_cache();
            }
            Event::Progress { job, progress } => self.on_progress(job, progress),
            Event::Loaded { job, model } => {
                if matches!(self.model.get_untracked(), ModelState::Loading { job: current, .. } if current == job) {
                    self.on_loaded(model);
                }
            }
            Event::NotHere { job, model } => {
                if matches!(self.model.get_untracked(), ModelState::Loading { job: current, .. } if current == job) {
                    self.model.set(ModelState::Asked(model));
                }
            }
            Event::DeviceLost { job, reason } => self.on_device_lost(job, &reason),
            Event::Restored { job, model } => {
                if matches!(self.model.get_untracked(), ModelState::Loading { job: current, .. } if current == job) {
                    self.model.set(ModelState::Ready(model));
                }
            }
            Event::Checked(check) => self.on_checked(check),
            Event::Tuned(tuning) => settings::keep_tuned_device(tuning),
            Event::Repository { job, listing } => self.on_repository(job, listing),
            Event::Directions { job, directions } => self.on_directions(job, None, directions),
            Event::VectorRead { job, name, directions } => self.on_directions(job, name, directions),
            Event::NumberingUnclear { job, first, last } => {
                if self.imports(job) {
                    self.numbering_asked.set(Some((first, last)));
                }
            }
            Event::RunStarted { job, .. } => self.on_run_started(job),
            Event::Token { job, lane, token } => self.on_token(job, lane, token),
            Event::Written { job, summary } => {
                if summary.tokens_per_second > 0.0 {
                    self.speed.set(Some(summary.tokens_per_second));
                }
                self.end_runs(job);
                if summary.ends.iter().all(|(_, end)| *end != End::Stopped) {
                    self.measure_soon();
                }
            }
            Event::Evidence { job, evidence } => {
                if self.measures(job) {
                    self.evidence.set(EvidenceState::Measured(evidence));
                }
            }
            Event::GridCell { job, cell } => self.on_grid_cell(job, cell),
            Event::GridSearched { job, report } => self.on_grid_searched(job, report),
            Event::LensText { job, text } => self.on_lens_text(job, text),
            Event::LensLayer { job, layer } => self.on_lens_layer(job, layer),
            Event::LensTuned { job, tuning } => self.on_lens_tuned(job, tuning),
            Event::LensRead { job } => self.on_lens_read(job),
            Event::Patch { job, step } => self.on_patch_step(job, step),
            Event::Patched { job } => self.on_patched(job),
            Event::Attention { job, attention } => self.on_attention(job, attention),
            Event::ProbeLayer { job, layer } => self.on_probe_layer(job, layer),
            Event::ProbesFitted { job, summary } => self.on_probes_fitted(job, summary),
            Event::TextProbed { job, text } => self.on_text_probed(job, text),
            Event::ProbeErased { job, erasure } => self.on_probe_erased(job, erasure),
            Event::SaeLoaded { job, sae } => self.on_sae_loaded(job, sae),
            Event::SaeNotHere { job, sae } => self.on_sae_not_here(job, sae),
            Event::SaeUnmapped { job, mapping } => self.on_sae_unmapped(job, mapping),
            Event::FeaturesContrasted { job, contrast } => self.on_features_contrasted(job, contrast),
            Event::FeaturesRead { job, text } => self.on_features_read(job, text),
            Event::Feature { job, card } => self.on_feature(job, card),
            Event::FeatureAblated { job, loss } => self.on_feature_ablated(job, loss),
            Event::Training { job, step } => self.on_training(job, step),
            Event::Cache(report) => self.cache.set(Some(report)),
            Event::File { name, bytes, .. } => {
                self.save(&name, &bytes);
            }
            Event::Cancelled { job } => self.on_end(job, None),
            Event::Failed { job: Some(job), failure } if self.on_lookup_end(job, Some(&failure)) => {}
            Event::Failed { job, failure } => {
                self.on_end(job.unwrap_or_default(), Some(&failure));
                self.notice(failure);
            }
        }
    }

    /// Has the browser save a file.
    pub fn save(self, name: &str, bytes: &[u8]) {
        if save_file(name, bytes).is_err() {
            let remedy = "The browser refused to save it; allow downloads for this page, then try again.";
            self.notice(Failure::new("The file could not be saved", remedy, false));
        }
    }

    fn measures(self, job: JobId) -> bool {
        matches!(self.evidence.get_untracked(), EvidenceState::Measuring { job: current, .. } if current == job)
    }

    fn on_progress(self, job: JobId, progress: Progress) {
        self.model.update(|model| {
            if let ModelState::Loading { job: current, progress: shown } = model
                && *current == job
            {
                *shown = Some(progress.clone());
            }
        });
        if self.building.with_untracked(|building| building.as_ref().is_some_and(|building| building.job == job)) {
            self.building.update(|building| {
                if let Some(building) = building {
                    building.progress = Some(progress.clone());
                }
            });
        }
        self.on_lens_progress(job, &progress);
        self.on_grid_progress(job, &progress);
        self.on_patch_progress(job, &progress);
        self.on_probes_progress(job, &progress);
        self.on_features_progress(job, &progress);
        self.on_training_progress(job, &progress);
        if self.measures(job) {
            self.evidence.set(EvidenceState::Measuring { job, progress: Some(progress) });
        }
    }

    fn on_loaded(self, model: tiller_protocol::ModelInfo) {
        let chat = model.has_chat_template;
        self.training_of(&model.reference);
        self.model.set(ModelState::Ready(model));
        self.list_cache();
        if !chat && self.experiment.with_untracked(|experiment| experiment.prompt.chat) {
            self.settle(|experiment| experiment.prompt.chat = false);
            self.say("This model has no chat template: its text is continued");
        }
        self.build_and_write();
    }

    fn imports(self, job: JobId) -> bool {
        self.importing.with_value(|import| import.as_ref().is_some_and(|import| import.job == job))
    }

    /// `name`: as a file has it; without one, the vector is called after the file.
    fn on_directions(self, job: JobId, name: Option<String>, directions: Directions) {
        let built = self.building.get_untracked().filter(|building| building.job == job);
        let imported = self.importing.get_value().filter(|import| import.job == job);
        match (&built, &imported) {
            (Some(_), _) => self.building.set(None),
            (_, Some(_)) => self.importing.set_value(None),
            // Of pairs that have been changed since; the newer vector is on its way.
            (None, None) => return,
        }
        let suggested = directions.suggested;
        let has = |layer: u32| directions.layers.iter().any(|at| at.layer == layer);
        let before = self.experiment.with_untracked(|experiment| experiment.vector.clone());
        // A layer that was only proposed gives way to the new proposal.
        let chosen = before
            .as_ref()
            .filter(|before| Some(before.layer) != before.directions.suggested)
            .map(|before| before.layer);
        let middle = || directions.layers.get(directions.layers.len() / 2).map_or(0, |at| at.layer);
        let layer = chosen.filter(|&layer| has(layer)).or(suggested).unwrap_or_else(middle);
        let pairs = built.map(|building| building.pairs).unwrap_or_default();
        let take = |experiment: &mut Experiment| {
            experiment.vector = Some(ChosenVector { directions: Arc::new(directions), layer, pairs });
            if let Some(import) = imported {
                experiment.name = name.unwrap_or(import.name);
            }
        };
        // The first vector is built without being asked for.
        match before {
            Some(_) => self.change("vector", take),
            None => self.settle(take),
        }
        self.write_if_queued();
        self.write_again_soon();
    }

    fn on_token(self, job: JobId, lane: Lane, token: WrittenToken) {
        let run = match lane {
            Lane::Plain => self.plain,
            Lane::Steered => self.steered,
        };
        if run.with_untracked(|run| run.job == job && run.state == RunState::Writing) {
            run.update(|run| run.tokens.push(token));
        }
    }

    fn end_runs(self, job: JobId) {
        for run in [self.plain, self.steered] {
            if run.with_untracked(|run| run.job == job && run.state == RunState::Writing) {
                run.update(|run| run.state = RunState::Done);
            }
        }
    }

    /// A run begins; after a lost GPU, for the second time.
    fn on_run_started(self, job: JobId) {
        for run in [self.plain, self.steered] {
            if run.with_untracked(|run| run.job == job && !run.tokens.is_empty()) {
                run.update(|run| run.tokens.clear());
            }
        }
    }

    /// A job ended without a result.
    fn on_end(self, job: JobId, failure: Option<&Failure>) {
        self.on_lookup_end(job, failure);
        self.on_lens_end(job);
        self.on_grid_end(job);
        self.on_patch_end(job);
        self.on_probes_end(job);
        self.on_features_end(job);
        self.on_training_end(job, failure);
        if matches!(self.model.get_untracked(), ModelState::Loading { job: current, .. } if current == job) {
            self.model.set(match failure {
                Some(failure) => ModelState::Failed(failure.clone()),
                None => ModelState::Idle,
            });
            self.list_cache();
        }
        if self.building.with_untracked(|building| building.as_ref().is_some_and(|building| building.job == job)) {
            self.building.set(None);
            if failure.is_none() {
                self.queued.set(false);
            }
        }
        if self.measures(job) {
            self.evidence.set(EvidenceState::None);
        }
        for run in [self.plain, self.steered] {
            if run.with_untracked(|run| run.job == job) {
                run.update(|run| run.interrupt());
            }
        }
    }
}

/// Has the browser save bytes as a file.
fn save_file(name: &str, bytes: &[u8]) -> Result<(), JsValue> {
    let parts = js_sys::Array::of1(&js_sys::Uint8Array::from(bytes));
    let address = Url::create_object_url_with_blob(&Blob::new_with_u8_array_sequence(&parts)?)?;
    let document = crate::address::window().document().ok_or(JsValue::NULL)?;
    let anchor: HtmlAnchorElement = document.create_element("a")?.unchecked_into();
    anchor.set_href(&address);
    anchor.set_download(name);
    anchor.click();
    Url::revoke_object_url(&address)
}
