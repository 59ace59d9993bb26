//! The worker: starting it, and what is left when it is gone.

use super::{EvidenceState, Lookup, ModelState, Run, Workbench};
use crate::bridge::{self, Incoming};
use crate::{address, settings};
use leptos::prelude::*;
use tiller_protocol::{BackendChoice, DeviceCheck, Failure, JobId, Remedy, Request};

impl Workbench {
    /// Starts a worker, and has it load the experiment's model.
    pub fn start_worker(self) {
        self.forget_work();
        self.model.set(ModelState::Loading { job: 0, progress: None });
        let started = bridge::start(move |incoming| match incoming {
            Incoming::Listening => bridge::send(&Request::Start {
                hub: address::hub(),
                backend: self.choice.get_untracked(),
                token: self.token.get_untracked(),
                checked: settings::checked_devices(),
                tuned: settings::tuned_devices(),
            }),
            Incoming::Event(event) => self.on_event(*event),
            Incoming::Crashed(reason) => self.on_crash(&reason),
        });
        if let Err(reason) = started {
            self.on_crash(&reason);
        }
    }

    /// What was being done is done no more; what was written stays.
    fn forget_work(self) {
        self.backend.set(None);
        self.building.set(None);
        self.evidence.set(EvidenceState::None);
        self.lens.update(|lens| (lens.job, lens.progress) = (None, None));
        self.grid.update(|grid| (grid.job, grid.progress) = (None, None));
        self.forget_probe_work();
        self.forget_training();
        self.lookup.update(|lookup| {
            if matches!(lookup, Lookup::Asking { .. }) {
                *lookup = Lookup::None;
            }
        });
        for run in [self.plain, self.steered] {
            run.update(Run::interrupt);
        }
    }

    fn on_crash(self, reason: &str) {
        // Without a backend, trying again starts a new worker.
        self.forget_work();
        let failure = Failure::new(
            "The engine stopped",
            format!("It has a fault, or too little memory ({reason}). Start it again; what you have set is kept."),
            true,
        );
        self.model.set(ModelState::Failed(failure.clone()));
        self.notice(failure);
    }

    /// Fetches and loads the model again, with a new worker where the old one is gone.
    pub fn try_again(self) {
        self.dismiss_all();
        match self.backend.get_untracked() {
            Some(_) if !matches!(self.model.get_untracked(), ModelState::Ready(_)) => self.load_model(),
            _ => self.start_worker(),
        }
        self.list_cache();
    }

    pub fn choose_backend(self, choice: BackendChoice) {
        self.dismiss_all();
        settings::keep_backend(choice);
        self.choice.set(choice);
        self.start_worker();
    }

    /// The line is back: what failed for want of it goes on.
    pub fn on_online(self) {
        let waits =
            |state: &ModelState| matches!(state, ModelState::Failed(Failure { remedy: Some(Remedy::Line), .. }));
        if self.model.with_untracked(waits) {
            self.try_again();
        }
    }

    /// The GPU was lost under a job, which begins again when the model is back.
    pub(super) fn on_device_lost(self, job: JobId, reason: &str) {
        self.model.set(ModelState::Loading { job, progress: None });
        self.notice(Failure::new(
            "The GPU was lost",
            format!("The browser took it away ({reason}). The model is loaded again, and what was being computed begins anew."),
            false,
        ));
    }

    pub(super) fn on_checked(self, check: DeviceCheck) {
        let DeviceCheck { device, agrees, difference } = check;
        if agrees {
            settings::keep_checked_device(device);
            return;
        }
        let failure = Failure::new(
            "This GPU computes other numbers than the CPU",
            format!(
                "On a small test model the two differ by {}, which is no rounding: a fault of its driver, most likely. \
                 What it writes cannot be relied on; use the CPU.",
                match difference.is_finite() {
                    true => format!("{:.0} % of the largest logit", 100.0 * difference),
                    false => "more than can be said".into(),
                }
            ),
            false,
        );
        self.notice(failure.with_remedy(Remedy::Cpu));
    }
}
