//! The page's state: the experiment, what the worker says, and what the user can do.

mod answers;
mod feature_edits;
mod features;
mod grid;
mod lens;
mod models;
mod patching;
mod probes;
mod runs;
mod shelf;
mod training;
mod worker;

use crate::bridge;
use crate::experiment::{ChosenVector, Experiment, model_label};
use crate::history::History;
use crate::shelf::with_more;
use crate::{address, settings};
use leptos::prelude::*;
use std::sync::Arc;
use tiller_protocol::{
    AccessToken, BackendChoice, BackendReport, CacheReport, Evidence, Failure, JobId, ModelInfo, Progress, Request,
    VectorFormat, VectorNumbering, VectorToSave,
};
use tiller_recipe::{Code, Exhibit, GALLERY, Pair, Recipe, RecipeError, View};
use tiller_sites::{ModelRef, VectorMethod};

pub use features::{FeatureWork, SaeState};
pub use grid::{GRID_FEWEST_PAIRS, GridSearch};
pub use lens::LensReading;
pub use models::Lookup;
pub use patching::PatchReading;
pub use probes::ProbeWork;
pub use runs::{Run, RunState};
pub use training::{TrainForm, TrainState, TrainingWork};

/// Everything that views read and do. Copies are handles on the same signals.
#[derive(Clone, Copy)]
pub struct Workbench {
    pub experiment: RwSignal<Experiment>,
    history: StoredValue<History<Experiment>>,
    /// Whether there is something to undo, and to redo.
    pub steps: RwSignal<(bool, bool)>,
    pub view: RwSignal<View>,
    /// Whether the gallery is shown in the view's place.
    pub at_gallery: RwSignal<bool>,
    /// The experiment of the gallery that was opened last.
    pub exhibit: RwSignal<Option<&'static Exhibit>>,
    pub choice: RwSignal<BackendChoice>,
    pub backend: RwSignal<Option<BackendReport>>,
    pub model: RwSignal<ModelState>,
    pub plain: RwSignal<Run>,
    pub steered: RwSignal<Run>,
    /// Tokens a lane a second, in the last run.
    pub speed: RwSignal<Option<f64>>,
    pub building: RwSignal<Option<Building>>,
    pub evidence: RwSignal<EvidenceState>,
    pub grid: RwSignal<GridSearch>,
    pub lens: RwSignal<LensReading>,
    pub patch: RwSignal<PatchReading>,
    pub probes: RwSignal<ProbeWork>,
    pub features: RwSignal<FeatureWork>,
    pub training: RwSignal<TrainingWork>,
    pub cache: RwSignal<Option<CacheReport>>,
    /// Whether the browser leaves the page's files alone when its disk fills up; `None` where it does not say.
    pub files_kept: RwSignal<Option<bool>>,
    pub lookup: RwSignal<Lookup>,
    /// Of the user's account on the hub. A secret: it lives here and in the worker, and in no storage, link or log.
    pub token: RwSignal<Option<AccessToken>>,
    /// The same, where a sparse autoencoder is looked for.
    pub sae_lookup: RwSignal<Lookup>,
    /// The models that the user has chosen, or agreed to, and that may be downloaded.
    agreed: StoredValue<Vec<ModelRef>>,
    /// How links write vectors; `None` for exactly.
    pub link_code: RwSignal<Option<Code>>,
    pub notices: RwSignal<Vec<Notice>>,
    pub toast: RwSignal<Option<String>>,
    /// The token whose probabilities are shown, by index.
    pub looked_at: RwSignal<Option<usize>>,
    /// A run was asked for before there was a model (or a vector) to write it with.
    pub queued: RwSignal<bool>,
    /// The vector that is being read from a file.
    importing: StoredValue<Option<Import>>,
    /// The first and the last number of its directions, while the user is asked what they mean.
    pub numbering_asked: RwSignal<Option<(u32, u32)>>,
    next_job: StoredValue<JobId>,
    next_notice: StoredValue<u32>,
    /// Counts the pauses after a change; the last one acts.
    pauses: StoredValue<u32>,
    lens_pauses: StoredValue<u32>,
    feature_pauses: StoredValue<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ModelState {
    Idle,
    /// It would have to be downloaded, and someone else named it: the user is asked.
    Asked(ModelRef),
    Loading {
        job: JobId,
        progress: Option<Progress>,
    },
    Ready(ModelInfo),
    Failed(Failure),
}

/// A file with a vector, which may have to be read twice.
#[derive(Clone, Debug)]
struct Import {
    job: JobId,
    /// The file's.
    name: String,
    bytes: Vec<u8>,
}

/// A vector that is being built.
#[derive(Clone, Debug, PartialEq)]
pub struct Building {
    pub job: JobId,
    pub method: VectorMethod,
    pub pairs: Vec<Pair>,
    pub progress: Option<Progress>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum EvidenceState {
    None,
    Measuring { job: JobId, progress: Option<Progress> },
    Measured(Evidence),
}

/// Something that went wrong, until it is put away.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub id: u32,
    pub failure: Failure,
}

impl Workbench {
    /// What the address asks for, or else what the last visit left.
    pub fn open() -> Workbench {
        let (opened, error) = match address::recipe() {
            Ok(recipe) => (recipe, None),
            Err(error) => (None, Some(error)),
        };
        let linked = opened.is_some();
        let exhibit = opened.as_ref().and_then(exhibited);
        let kept_view = settings::kept_view();
        // Whoever comes for the first time is shown what there is to see.
        let at_gallery = !linked && kept_view.is_none();
        let view = opened.as_ref().map_or_else(|| kept_view.unwrap_or_default(), |recipe| recipe.view);
        let mut experiment = match opened {
            Some(recipe) => Experiment::from_recipe(recipe),
            None => settings::kept_experiment().unwrap_or_else(Experiment::starting),
        };
        experiment.shelf = Arc::new(with_more(&settings::kept_shelf(), &experiment.shelf));
        let choice = address::backend().or_else(settings::kept_backend).unwrap_or_default();
        let bench = Workbench {
            experiment: RwSignal::new(experiment),
            history: StoredValue::new(History::default()),
            steps: RwSignal::new((false, false)),
            view: RwSignal::new(view),
            at_gallery: RwSignal::new(at_gallery),
            exhibit: RwSignal::new(exhibit),
            choice: RwSignal::new(choice),
            backend: RwSignal::new(None),
            model: RwSignal::new(ModelState::Idle),
            plain: RwSignal::new(Run::default()),
            steered: RwSignal::new(Run::default()),
            speed: RwSignal::new(None),
            building: RwSignal::new(None),
            evidence: RwSignal::new(EvidenceState::None),
            grid: RwSignal::new(GridSearch::default()),
            lens: RwSignal::new(LensReading::default()),
            patch: RwSignal::new(PatchReading::asked(linked && view == View::Patch)),
            probes: RwSignal::new(ProbeWork { asked: linked && view == View::Probes, ..ProbeWork::default() }),
            features: RwSignal::new(FeatureWork::default()),
            training: RwSignal::new(TrainingWork::default()),
            cache: RwSignal::new(None),
            files_kept: RwSignal::new(None),
            lookup: RwSignal::new(Lookup::None),
            sae_lookup: RwSignal::new(Lookup::None),
            token: RwSignal::new(None),
            agreed: StoredValue::new(Vec::new()),
            link_code: RwSignal::new(None),
            notices: RwSignal::new(Vec::new()),
            toast: RwSignal::new(None),
            looked_at: RwSignal::new(None),
            queued: RwSignal::new(linked && writes(view)),
            importing: StoredValue::new(None),
            numbering_asked: RwSignal::new(None),
            next_job: StoredValue::new(1),
            next_notice: StoredValue::new(1),
            pauses: StoredValue::new(0),
            lens_pauses: StoredValue::new(0),
            feature_pauses: StoredValue::new(0),
        };
        if let Some(error) = error {
            bench.refuse_link(&error);
        }
        bench.warn_before_leaving();
        bench.start_worker();
        bench
    }

    fn new_job(self) -> JobId {
        let job = self.next_job.get_value();
        self.next_job.set_value(job.wrapping_add(1).max(1));
        job
    }

    /// Changes the experiment, as one step that can be undone. `kind` names what changes.
    pub fn change(self, kind: &'static str, change: impl FnOnce(&mut Experiment)) {
        let before = self.experiment.get_untracked();
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return;
        }
        self.record(before, kind);
        if address::names_recipe() {
            // From now on it is not the link's experiment, and the next visit goes on with it where it was changed.
            settings::keep_view(self.view.get_untracked());
        }
        address::forget_recipe();
        self.replace(after);
    }

    /// Changes the experiment by what follows from it, which is no step of the user's.
    fn settle(self, change: impl FnOnce(&mut Experiment)) {
        let mut after = self.experiment.get_untracked();
        change(&mut after);
        self.replace(after);
    }

    fn record(self, before: Experiment, kind: &'static str) {
        self.history.update_value(|history| history.record(before, kind, js_sys::Date::now()));
    }

    /// Until the user changes something, a link that was opened does not take the place of what was kept.
    fn replace(self, experiment: Experiment) {
        if !address::names_recipe() {
            settings::keep_experiment(&experiment);
        }
        self.experiment.set(experiment);
        self.steps.set(self.history.with_value(|history| (history.can_undo(), history.can_redo())));
    }

    pub fn undo(self) {
        self.step(History::undo);
    }

    pub fn redo(self) {
        self.step(History::redo);
    }

    fn step(self, step: impl FnOnce(&mut History<Experiment>, Experiment) -> Option<Experiment>) {
        let current = self.experiment.get_untracked();
        let to = self.history.try_update_value(|history| step(history, current.clone())).flatten();
        let Some(mut to) = to else { return };
        let same_model = to.model == current.model;
        // The vector that was built on the way is still one of this model and these pairs.
        if to.vector.is_none() && same_model {
            to.vector = current.vector;
        }
        address::forget_recipe();
        self.replace(to);
        if same_model { self.write_again_soon() } else { self.load_model() }
    }

    /// Opens what the address now names; a link pasted into a page that is open only changes its fragment.
    pub fn follow_address(self) {
        match address::recipe() {
            // The browser's way back from an experiment of the gallery.
            Ok(None) => {
                if self.exhibit.get_untracked().is_some() {
                    self.show_gallery();
                }
            }
            Ok(Some(recipe)) => {
                self.exhibit.set(exhibited(&recipe));
                self.go_to(recipe.view);
                let mut opened = Experiment::from_recipe(recipe);
                let own = self.experiment.with_untracked(|experiment| experiment.shelf.clone());
                opened.shelf = Arc::new(with_more(&own, &opened.shelf));
                let other_model = opened.model != self.experiment.get_untracked().model;
                self.record(self.experiment.get_untracked(), "link");
                self.replace(opened);
                let view = self.view.get_untracked();
                self.queued.set(writes(view));
                self.probes.update(|work| work.asked = view == View::Probes);
                self.patch.update(|patch| patch.asked = view == View::Patch);
                if other_model { self.load_model() } else { self.build_and_write() }
            }
            Err(error) => self.refuse_link(&error),
        }
    }

    fn refuse_link(self, error: &RecipeError) {
        self.notice(Failure::new("The link cannot be opened", error, false));
    }

    pub fn notice(self, failure: Failure) {
        let id = self.next_notice.get_value();
        self.next_notice.set_value(id + 1);
        self.notices.update(|notices| {
            notices.retain(|notice| notice.failure != failure);
            notices.push(Notice { id, failure });
        });
    }

    pub fn dismiss(self, id: u32) {
        self.notices.update(|notices| notices.retain(|notice| notice.id != id));
    }

    /// What went wrong before is put away when the user goes on; what the page does by itself leaves it to be read.
    pub fn dismiss_all(self) {
        self.notices.set(Vec::new());
    }

    /// A word of confirmation that goes away by itself.
    pub fn say(self, text: impl Into<String>) {
        let text = text.into();
        self.toast.set(Some(text.clone()));
        gloo::timers::callback::Timeout::new(2600, move || {
            if self.toast.get_untracked().as_ref() == Some(&text) {
                self.toast.set(None);
            }
        })
        .forget();
    }

    pub fn cancel(self, job: JobId) {
        bridge::send(&Request::Cancel { job });
    }

    /// Builds the vector as the user asks, and says if there is nothing to build it from.
    pub fn build_vector_as_asked(self) {
        self.dismiss_all();
        if self.experiment.with_untracked(|experiment| experiment.complete_pairs().is_empty()) {
            let remedy = "Write at least one text on each side, then build the vector.";
            self.notice(Failure::new("There are no pairs", remedy, false));
        }
        self.build_vector();
    }

    /// Builds the vector of the pairs if there are any, unless that is being done.
    pub fn build_vector(self) {
        let (pairs, method) =
            self.experiment.with_untracked(|experiment| (experiment.complete_pairs(), experiment.method));
        let same = self
            .building
            .get_untracked()
            .is_some_and(|building| (&building.pairs, building.method) == (&pairs, method));
        if same || pairs.is_empty() || !matches!(self.model.get_untracked(), ModelState::Ready(_)) {
            return;
        }
        let job = self.new_job();
        self.building.set(Some(Building { job, method, pairs: pairs.clone(), progress: None }));
        bridge::send(&Request::BuildVector { job, method: method.name().into(), pairs });
    }

    pub fn show_gallery(self) {
        self.at_gallery.set(true);
    }

    /// Shows another view, which the next visit begins with.
    fn go_to(self, view: View) {
        self.at_gallery.set(false);
        self.view.set(view);
        settings::keep_view(view);
    }

    /// Goes to another view. What it needs and nobody else did is made now.
    pub fn show(self, view: View) {
        self.go_to(view);
        if view == View::Steer {
            self.build_and_write();
        }
    }

    /// Builds a vector where there is none, and then writes what was asked for, in a view that shows it.
    fn build_and_write(self) {
        if !writes(self.view.get_untracked()) {
            return;
        }
        if self.experiment.with_untracked(|experiment| experiment.vector.is_none()) {
            self.build_vector();
        }
        if self.building.get_untracked().is_none() {
            self.write_if_queued();
        }
    }

    pub fn save_vector(self, format: VectorFormat) {
        let experiment = self.experiment.get_untracked();
        if let Some(ChosenVector { directions, .. }) = &experiment.vector {
            let vector = VectorToSave {
                name: experiment.name.clone(),
                method: directions.method.clone(),
                model: model_label(&experiment.model),
                pairs: directions.pairs,
                layers: directions.layers.clone(),
                format,
            };
            bridge::send(&Request::ExportVector { job: self.new_job(), vector });
        }
    }

    pub fn load_vector(self, name: String, bytes: Vec<u8>) {
        let job = self.new_job();
        self.numbering_asked.set(None);
        self.importing.set_value(Some(Import { job, name, bytes: bytes.clone() }));
        bridge::send(&Request::ImportVector { job, bytes, numbering: None });
    }

    /// Reads the file again, now that the user has said what its numbers mean; with `None` it is let be.
    pub fn answer_numbering(self, numbering: Option<VectorNumbering>) {
        self.numbering_asked.set(None);
        let import = self.importing.get_value();
        self.importing.set_value(None);
        if let (Some(import), Some(_)) = (import, numbering) {
            let job = self.new_job();
            let bytes = import.bytes.clone();
            self.importing.set_value(Some(Import { job, ..import }));
            bridge::send(&Request::ImportVector { job, bytes, numbering });
        }
    }
}

/// The experiment of the gallery that a recipe is, wherever it was made.
fn exhibited(recipe: &Recipe) -> Option<&'static Exhibit> {
    let recipe = Recipe { backend: None, ..recipe.clone() };
    // Of whichever version it was written in.
    let is_same = |exhibit: &&Exhibit| Recipe { tiller: recipe.tiller, ..exhibit.recipe() } == recipe;
    GALLERY.iter().find(is_same)
}

/// Whether a view shows what the model writes.
fn writes(view: View) -> bool {
    matches!(view, View::Steer | View::Models)
}
