//! Asking the hub what a repository offers, beside whatever else is being done.

use crate::failure::{Stop, not_listed};
use crate::host;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use tiller_hub::{Cancel, Hub, HubError, Repository, offer, saes};
use tiller_model::SUPPORTED_ARCHITECTURES;
use tiller_protocol::{Choice, Event, Fit, JobId, RepositoryListing, What};

/// The questions that the hub has not answered yet.
#[derive(Default)]
pub struct Lookups(RefCell<BTreeMap<JobId, Cancel>>);

impl Lookups {
    pub fn begin(self: &Rc<Self>, hub: Hub, job: JobId, repo: String, revision: String) {
        let cancel = Cancel::new();
        self.0.borrow_mut().insert(job, cancel.clone());
        let lookups = self.clone();
        wasm_bindgen_futures::spawn_local(async move {
            let found = Repository::look_up(&hub, &repo, &revision, &cancel).await;
            lookups.0.borrow_mut().remove(&job);
            host::send(match found {
                Ok(repository) => Event::Repository { job, listing: listing(&repository) },
                Err(HubError::Cancelled) => Event::Cancelled { job },
                Err(error) => match not_listed(error) {
                    Stop::Cancelled => Event::Cancelled { job },
                    Stop::Failed(failure) => Event::Failed { job: Some(job), failure },
                },
            });
        });
    }

    pub fn cancel(&self, job: JobId) {
        if let Some(cancel) = self.0.borrow().get(&job) {
            cancel.cancel();
        }
    }
}

fn listing(repository: &Repository) -> RepositoryListing {
    let offer = offer(repository);
    let choice = |choice: tiller_hub::Choice| Choice {
        what: match choice.what {
            tiller_hub::What::File(file) => What::File(file),
            tiller_hub::What::Folder(files) => What::Folder(files),
        },
        bytes: choice.bytes,
        quantisation: choice.quantisation,
        fit: match choice.fit {
            tiller_hub::Fit::Loads => Fit::Loads,
            tiller_hub::Fit::Large => Fit::Large,
            tiller_hub::Fit::Not(why) => Fit::Not(why),
        },
    };
    let unknown = repository.architecture.as_deref().filter(|known| !SUPPORTED_ARCHITECTURES.contains(known));
    RepositoryListing {
        repo: repository.repo.clone(),
        commit: repository.commit.clone(),
        gated: repository.gated,
        licence: repository.licence.clone(),
        choices: offer.choices.into_iter().map(choice).collect(),
        proposed: offer.proposed,
        saes: saes(repository),
        warning: unknown.map(|architecture| {
            format!(
                "The hub says that this is a model of the architecture \"{architecture}\", which is not known here."
            )
        }),
    }
}
