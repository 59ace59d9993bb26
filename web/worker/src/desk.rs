//! The worker's desk: what has come in, what is being worked on, and in which order.

use crate::backend::{self, Chosen};
use crate::cache::Cache;
use crate::host;
use crate::jobs;
use crate::live::Live;
use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::StreamExt;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use tiller_experiment::Session;
use tiller_hub::Hub;
use tiller_protocol::{Event, JobId, Request};

/// Begins to listen, and works until the page closes the worker.
pub fn open() {
    let (jobs, queue) = unbounded();
    let incoming = Rc::new(Incoming { jobs, running: RefCell::default(), withdrawn: RefCell::default() });
    let desk = incoming.clone();
    host::listen(move |request| incoming.take(request));
    wasm_bindgen_futures::spawn_local(work(queue, desk));
}

/// Where messages arrive while a job runs.
struct Incoming {
    jobs: UnboundedSender<Request>,
    running: RefCell<Option<(Rc<Live>, Kind)>>,
    /// Jobs that were cancelled before they began.
    withdrawn: RefCell<BTreeSet<JobId>>,
}

/// What a job is, as far as others must give way to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Writing and measuring: what the user sees, and what the next action outdates.
    Showing,
    Loading,
    Other,
}

fn kind(request: &Request) -> Kind {
    match request {
        Request::Write { .. } | Request::Measure { .. } => Kind::Showing,
        Request::Load { .. } | Request::Start { .. } => Kind::Loading,
        _ => Kind::Other,
    }
}

fn job_of(request: &Request) -> Option<JobId> {
    match *request {
        Request::Load { job, .. }
        | Request::BuildVector { job, .. }
        | Request::Write { job, .. }
        | Request::SetStrength { job, .. }
        | Request::Measure { job, .. }
        | Request::Cancel { job }
        | Request::ExportVector { job, .. }
        | Request::ImportVector { job, .. } => Some(job),
        Request::Start { .. } | Request::ListCache | Request::Delete { .. } => None,
    }
}

impl Incoming {
    fn take(&self, request: Request) {
        let running = self.running.borrow();
        match &request {
            Request::SetStrength { job, edit, strength } => {
                if let Some((live, _)) = running.as_ref().filter(|(live, _)| live.job == *job) {
                    live.set_strength(*edit, *strength);
                }
                return;
            }
            Request::Cancel { job } => {
                match running.as_ref().filter(|(live, _)| live.job == *job) {
                    Some((live, _)) => live.cancel(),
                    None => drop(self.withdrawn.borrow_mut().insert(*job)),
                }
                return;
            }
            _ => {}
        }
        if let Some((live, running)) = &*running {
            let outdated = match kind(&request) {
                Kind::Loading => true,
                Kind::Showing => *running == Kind::Showing,
                Kind::Other => matches!(request, Request::BuildVector { .. }) && *running == Kind::Showing,
            };
            if outdated {
                live.cancel();
            }
        }
        self.jobs.unbounded_send(request).expect("the desk outlives its messages");
    }
}

/// What the jobs work with.
pub struct Bench {
    pub hub: Hub,
    pub cache: Cache,
    pub chosen: Chosen,
    pub session: Option<Session>,
}

async fn work(mut queue: UnboundedReceiver<Request>, incoming: Rc<Incoming>) {
    let mut bench: Option<Bench> = None;
    while let Some(request) = queue.next().await {
        let job = job_of(&request);
        if let Some(job) = job
            && incoming.withdrawn.borrow_mut().remove(&job)
        {
            host::send(Event::Cancelled { job });
            continue;
        }
        let live = Rc::new(Live::new(job.unwrap_or_default()));
        *incoming.running.borrow_mut() = Some((live.clone(), kind(&request)));
        match (request, &mut bench) {
            (Request::Start { hub, backend }, bench) => {
                // The old engine gives its memory back before a new one takes any.
                *bench = None;
                let (chosen, report) = backend::choose(backend).await;
                *bench = Some(Bench { hub: Hub::new(hub), cache: Cache::open().await, chosen, session: None });
                host::send(Event::Ready(report));
            }
            (request, Some(bench)) => jobs::run(request, bench, &live).await,
            (_, None) => web_sys::console::error_1(&"a request came before Start".into()),
        }
        *incoming.running.borrow_mut() = None;
    }
}
