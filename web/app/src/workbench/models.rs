//! Which model: finding one on the hub, loading it, what the browser keeps of it.

use super::{ModelState, Workbench};
use crate::experiment::is_known;
use crate::typed_repository::TypedRepository;
use crate::{address, bridge, storage};
use leptos::prelude::*;
use tiller_protocol::{AccessToken, Failure, JobId, RepositoryListing, Request};
use tiller_sites::ModelRef;

/// What was asked of the hub, and what it answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    None,
    Asking { job: JobId, asked: TypedRepository },
    Found { asked: TypedRepository, listing: RepositoryListing },
    Failed { asked: TypedRepository, failure: Failure },
}

impl Lookup {
    /// As tests see it.
    pub fn state(&self) -> &'static str {
        match self {
            Lookup::None => "none",
            Lookup::Asking { .. } => "asking",
            Lookup::Found { .. } => "found",
            Lookup::Failed { .. } => "failed",
        }
    }

    fn asked(&self) -> Option<&TypedRepository> {
        match self {
            Lookup::None => None,
            Lookup::Asking { asked, .. } | Lookup::Found { asked, .. } | Lookup::Failed { asked, .. } => Some(asked),
        }
    }
}

impl Workbench {
    /// Loads the experiment's model, from the cache or, with the user's leave, from the hub.
    pub fn load_model(self) {
        if self.backend.get_untracked().is_none() {
            // The worker is not there yet; it loads the model when it is.
            return;
        }
        let job = self.new_job();
        self.building.set(None);
        self.model.set(ModelState::Loading { job, progress: None });
        let model = self.experiment.with_untracked(|experiment| experiment.model.clone());
        let download = self.may_download(&model);
        bridge::send(&Request::Load { job, model, download });
    }

    /// The page's own models may come from its own hub. Anything else is someone else's word, as a link's, until the
    /// user agrees.
    fn may_download(self, model: &ModelRef) -> bool {
        (is_known(model) && !address::names_hub())
            || self.agreed.with_value(|agreed| agreed.iter().any(|known| known == model))
    }

    pub fn agree_to_download(self, model: ModelRef) {
        self.agreed.update_value(|agreed| agreed.push(model));
        self.load_model();
    }

    pub fn decline_download(self) {
        self.queued.set(false);
        self.model.set(ModelState::Idle);
    }

    /// Loads another model; the vector and the features belong to the old one.
    pub fn choose_model(self, model: ModelRef) {
        self.dismiss_all();
        self.agreed.update_value(|agreed| agreed.push(model.clone()));
        self.change("model", |experiment| {
            if experiment.model != model {
                experiment.vector = None;
                experiment.features = Default::default();
                experiment.model = model;
            }
        });
        self.keep_files();
        self.load_model();
    }

    /// Asks the hub what a repository offers; `lookup` is where the answer is shown.
    pub fn look_up(self, lookup: RwSignal<Lookup>, asked: TypedRepository) {
        if let Lookup::Asking { job, .. } = lookup.get_untracked() {
            self.cancel(job);
        }
        let job = self.new_job();
        let TypedRepository { repo, revision } = asked.clone();
        lookup.set(Lookup::Asking { job, asked });
        bridge::send(&Request::LookUp { job, repo, revision });
    }

    /// Where the answer to a question is shown.
    fn asked_by(self, job: JobId) -> Option<RwSignal<Lookup>> {
        let asks = |lookup: &Lookup| matches!(lookup, Lookup::Asking { job: current, .. } if *current == job);
        [self.lookup, self.sae_lookup].into_iter().find(|lookup| lookup.with_untracked(asks))
    }

    pub(super) fn on_repository(self, job: JobId, listing: RepositoryListing) {
        let Some(lookup) = self.asked_by(job) else { return };
        lookup.update(|lookup| {
            if let Some(asked) = lookup.asked().cloned() {
                *lookup = Lookup::Found { asked, listing };
            }
        });
    }

    /// Whether `job` was a question to the hub, which has failed or was withdrawn.
    pub(super) fn on_lookup_end(self, job: JobId, failure: Option<&Failure>) -> bool {
        let Some(lookup) = self.asked_by(job) else { return false };
        lookup.update(|lookup| {
            *lookup = match (lookup.asked().cloned(), failure.cloned()) {
                (Some(asked), Some(failure)) => Lookup::Failed { asked, failure },
                _ => Lookup::None,
            };
        });
        true
    }

    /// From now on, the hub is asked in the name of whoever this token belongs to; what was refused is asked again. The
    /// token is kept nowhere but here.
    pub fn use_token(self, token: Option<AccessToken>) {
        self.token.set(token.clone());
        bridge::send(&Request::SetToken { token: token.clone() });
        if token.is_none() {
            return;
        }
        for lookup in [self.lookup, self.sae_lookup] {
            if let Lookup::Failed { asked, .. } = lookup.get_untracked() {
                self.look_up(lookup, asked);
            }
        }
        if matches!(self.model.get_untracked(), ModelState::Failed(_)) {
            self.try_again();
        }
    }

    /// Asks the browser not to delete the page's files by itself.
    pub fn keep_files(self) {
        wasm_bindgen_futures::spawn_local(async move { self.files_kept.set(storage::ask_to_keep().await) });
    }

    pub fn list_cache(self) {
        if self.backend.get_untracked().is_some() {
            bridge::send(&Request::ListCache);
        }
        wasm_bindgen_futures::spawn_local(async move { self.files_kept.set(storage::is_kept().await) });
    }

    pub fn delete_cached(self, model: ModelRef) {
        bridge::send(&Request::Delete { model });
    }
}
