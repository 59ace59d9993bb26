//! The worker's desk: what has come in, what is being worked on, and in which order.

use crate::backend::{self, Backend};
use crate::cache::Cache;
use crate::host;
use crate::jobs::{self, LoadedSae, Training, Unmapped};
use crate::live::Live;
use crate::lookup::Lookups;
use crate::restores::Restores;
use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::StreamExt;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use tiller_experiment::Session;
use tiller_hub::Hub;
use tiller_interp::lens::TunedLens;
use tiller_protocol::{Event, JobId, ModelRef, Request};

/// Begins to listen, and works until the page closes the worker.
pub fn open() {
    let (jobs, queue) = unbounded();
    let incoming = Rc::new(Incoming {
        jobs,
        running: RefCell::default(),
        queued: RefCell::default(),
        hub: RefCell::new(Hub::new("")),
        lookups: Rc::default(),
    });
    let desk = incoming.clone();
    host::listen(move |request| incoming.take(request));
    wasm_bindgen_futures::spawn_local(work(queue, desk));
}

/// Where messages arrive while a job runs.
struct Incoming {
    jobs: UnboundedSender<Request>,
    running: RefCell<Option<(Rc<Live>, Kind)>>,
    /// The jobs that have not begun, and what was said about them since.
    queued: RefCell<BTreeMap<JobId, Said>>,
    hub: RefCell<Hub>,
    lookups: Rc<Lookups>,
}

/// What was said about a job before it began.
#[derive(Default)]
struct Said {
    cancelled: bool,
    /// By edit.
    strengths: Vec<(usize, f32)>,
}

/// What a job is, as far as others must give way to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Writing and measuring: what the user sees, and what the next action outdates.
    Showing,
    /// What another view shows. It may take long, and gives way to writing.
    Reading,
    Loading,
    /// It takes minutes, and pauses for whatever else is asked.
    Background,
    Other,
}

fn kind(request: &Request) -> Kind {
    match request {
        Request::Write { .. } | Request::Measure { .. } => Kind::Showing,
        Request::ReadLens { .. }
        | Request::SearchGrid { .. }
        | Request::Patch { .. }
        | Request::FitProbes { .. }
        | Request::EraseProbe { .. }
        | Request::ReadFeatures { .. }
        | Request::ContrastFeatures { .. }
        | Request::AblateFeature { .. } => Kind::Reading,
        Request::Train { .. } => Kind::Background,
        Request::Load { .. } | Request::Start { .. } => Kind::Loading,
        _ => Kind::Other,
    }
}

fn job_of(request: &Request) -> Option<JobId> {
    match *request {
        Request::Load { job, .. }
        | Request::LookUp { job, .. }
        | Request::BuildVector { job, .. }
        | Request::Write { job, .. }
        | Request::SetStrength { job, .. }
        | Request::Measure { job, .. }
        | Request::Cancel { job }
        | Request::ReadLens { job, .. }
        | Request::SearchGrid { job, .. }
        | Request::Patch { job, .. }
        | Request::ReadAttention { job, .. }
        | Request::FitProbes { job, .. }
        | Request::ProbeText { job, .. }
        | Request::EraseProbe { job, .. }
        | Request::LoadSae { job, .. }
        | Request::ReadFeatures { job, .. }
        | Request::ContrastFeatures { job, .. }
        | Request::LookAtFeature { job, .. }
        | Request::AblateFeature { job, .. }
        | Request::Train { job, .. }
        | Request::SaveTrained { job, .. }
        | Request::ExportVector { job, .. }
        | Request::ImportVector { job, .. } => Some(job),
        Request::Start { .. } | Request::SetToken { .. } | Request::ListCache | Request::Delete { .. } => None,
    }
}

impl Incoming {
    fn take(&self, request: Request) {
        let request = match request {
            Request::SetStrength { job, edit, strength } => return self.set_strength(job, edit, strength),
            Request::Cancel { job } => return self.cancel(job),
            Request::SetToken { token } => {
                self.hub.replace_with(|hub| hub.clone().with_token(token));
                return;
            }
            Request::LookUp { job, repo, revision } => {
                return self.lookups.begin(self.hub.borrow().clone(), job, repo, revision);
            }
            Request::Start { ref hub, ref token, .. } => {
                self.hub.replace(Hub::new(hub).with_token(token.clone()));
                request
            }
            request => request,
        };
        if let Some((live, running)) = &*self.running.borrow() {
            let outdated = match kind(&request) {
                Kind::Loading => true,
                Kind::Showing if matches!(request, Request::Measure { .. }) => *running == Kind::Showing,
                Kind::Showing => matches!(running, Kind::Showing | Kind::Reading),
                Kind::Reading => *running == Kind::Reading,
                Kind::Background => false,
                Kind::Other => matches!(request, Request::BuildVector { .. }) && *running == Kind::Showing,
            };
            if outdated || *running == Kind::Background {
                live.cancel();
            }
        }
        if let Some(job) = job_of(&request) {
            self.queued.borrow_mut().insert(job, Said::default());
        }
        self.jobs.unbounded_send(request).expect("the desk outlives its messages");
    }

    fn set_strength(&self, job: JobId, edit: usize, strength: f32) {
        match self.running.borrow().as_ref().filter(|(live, _)| live.job == job) {
            Some((live, _)) => live.set_strength(edit, strength),
            None => {
                if let Some(said) = self.queued.borrow_mut().get_mut(&job) {
                    said.strengths.push((edit, strength));
                }
            }
        }
    }

    /// A job that has ended is not concerned any more.
    fn cancel(&self, job: JobId) {
        self.lookups.cancel(job);
        match self.running.borrow().as_ref().filter(|(live, _)| live.job == job) {
            Some((live, _)) => live.cancel(),
            None => {
                if let Some(said) = self.queued.borrow_mut().get_mut(&job) {
                    said.cancelled = true;
                }
            }
        }
    }
}

/// What the jobs work with.
pub struct Bench {
    pub hub: Hub,
    pub cache: Cache,
    pub backend: Backend,
    pub session: Option<Session>,
    /// What the session was loaded from.
    pub loaded: Option<ModelRef>,
    /// The sparse autoencoder of the features that are looked at.
    pub sae: Option<LoadedSae>,
    /// The user's own files of no known layout, until it is known what their tensors are.
    pub unmapped: Option<Unmapped>,
    /// The loaded model's tuned lens, once it is trained.
    pub lens: Option<TunedLens>,
    /// A training that is not finished.
    pub training: Option<Training>,
    pub restores: Restores,
    /// The devices that were found to compute what the CPU computes.
    pub checked: BTreeSet<String>,
    /// How devices were found to compute best.
    pub tuned: BTreeMap<String, String>,
}

async fn work(mut queue: UnboundedReceiver<Request>, incoming: Rc<Incoming>) {
    let mut bench: Option<Bench> = None;
    while let Some(request) = queue.next().await {
        let job = job_of(&request);
        let said = job.and_then(|job| incoming.queued.borrow_mut().remove(&job)).unwrap_or_default();
        if let (Some(job), true) = (job, said.cancelled) {
            host::send(Event::Cancelled { job });
            continue;
        }
        let live = Rc::new(Live::new(job.unwrap_or_default(), said.strengths));
        *incoming.running.borrow_mut() = Some((live.clone(), kind(&request)));
        match (request, &mut bench) {
            (Request::Start { backend, checked, tuned, .. }, bench) => {
                // The old engine gives its memory back before a new one takes any.
                *bench = None;
                let (backend, report) = backend::choose(backend).await;
                *bench = Some(Bench {
                    hub: incoming.hub.borrow().clone(),
                    cache: Cache::open().await,
                    backend,
                    session: None,
                    loaded: None,
                    sae: None,
                    unmapped: None,
                    lens: None,
                    training: None,
                    restores: Restores::default(),
                    checked: checked.into_iter().collect(),
                    tuned: tuned.into_iter().map(|tuning| (tuning.device, tuning.tiers)).collect(),
                });
                host::send(Event::Ready(report));
            }
            (request, Some(bench)) => {
                bench.hub = incoming.hub.borrow().clone();
                jobs::run(request, bench, &live).await;
            }
            (_, None) => web_sys::console::error_1(&"a request came before Start".into()),
        }
        *incoming.running.borrow_mut() = None;
    }
}
