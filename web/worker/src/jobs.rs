//! The jobs, one file each. Every job ends with exactly one event that says how.

mod features;
mod files;
mod grid;
mod lens;
mod load;
mod measure;
mod patching;
mod probes;
mod train_sae;
mod vector;
mod write;

pub use features::{LoadedSae, Unmapped};
pub use train_sae::Training;

use crate::desk::Bench;
use crate::failure::Stop;
use crate::host::{self, Throttle};
use crate::live::Live;
use load::telling;
use tiller_experiment::Session;
use tiller_interp::evidence;
use tiller_protocol::{Estimate, Event, Progress, Request, Stage};

pub async fn run(request: Request, bench: &mut Bench, live: &Live) {
    let outcome = loop {
        if let Some(reason) = lost_device(bench)
            && needs_session(&request)
            && let Err(stop) = load::restore(bench, live, reason).await
        {
            break Err(stop);
        }
        let outcome = perform(request.clone(), bench, live).await;
        // A device that is lost under a job fails it in one of many ways; what counts is that it is lost.
        if !(matches!(outcome, Err(Stop::Failed(_))) && needs_session(&request) && lost_device(bench).is_some()) {
            break outcome;
        }
    };
    host::send(match outcome {
        Ok(event) => event,
        Err(Stop::Cancelled) => Event::Cancelled { job: live.job },
        Err(Stop::Failed(failure)) => Event::Failed { job: Some(live.job), failure },
    });
}

async fn perform(request: Request, bench: &mut Bench, live: &Live) -> Result<Event, Stop> {
    match request {
        Request::Load { model, download, .. } => load::run(bench, live, model, download).await,
        Request::BuildVector { method, pairs, .. } => vector::build(bench, live, &method, &pairs).await,
        Request::Write { run, .. } => write::run(bench, live, run).await,
        Request::Measure { run, .. } => measure::run(bench, live, run).await,
        Request::ReadLens { run, follow, tuned, .. } => lens::read(bench, live, run, &follow, tuned).await,
        Request::SearchGrid { method, pairs, layers, strengths, .. } => {
            grid::search(bench, live, &method, &pairs, &layers, &strengths).await
        }
        Request::Patch { patching, .. } => patching::run(bench, live, &patching).await,
        Request::ReadAttention { text, layer, .. } => patching::attention(bench, live, &text, layer).await,
        Request::FitProbes { spec, .. } => probes::fit(bench, live, &spec).await,
        Request::ProbeText { block, probe, prompt, .. } => probes::read(bench, live, block, &probe, &prompt).await,
        Request::EraseProbe { spec, block, .. } => probes::erase(bench, live, &spec, block).await,
        Request::LoadSae { source, .. } => features::load(bench, live, source).await,
        Request::ContrastFeatures { texts: [here, there], .. } => {
            features::contrast(bench, live, [&here, &there]).await
        }
        Request::ReadFeatures { run, .. } => features::read(bench, live, &run).await,
        Request::AblateFeature { feature, .. } => features::ablate(bench, live, feature).await,
        Request::LookAtFeature { feature, .. } => features::look_at(bench, live, feature).await,
        Request::Train { what, .. } => train_sae::run(bench, live, what).await,
        Request::SaveTrained { file, .. } => train_sae::save(bench, live, &file),
        Request::ExportVector { vector, .. } => files::export(bench, live, &vector),
        Request::ImportVector { bytes, numbering, .. } => files::import(bench, live, bytes, numbering).await,
        Request::ListCache => bench.cache.report().await.map(Event::Cache),
        Request::Delete { model } => bench.cache.delete(&model).await.map(Event::Cache),
        Request::Start { .. }
        | Request::SetToken { .. }
        | Request::LookUp { .. }
        | Request::SetStrength { .. }
        | Request::Cancel { .. } => unreachable!("the desk keeps these to itself"),
    }
}

/// Whether the job computes with the model that is loaded.
fn needs_session(request: &Request) -> bool {
    matches!(
        request,
        Request::BuildVector { .. }
            | Request::Write { .. }
            | Request::Measure { .. }
            | Request::ReadLens { .. }
            | Request::SearchGrid { .. }
            | Request::Patch { .. }
            | Request::ReadAttention { .. }
            | Request::FitProbes { .. }
            | Request::ProbeText { .. }
            | Request::EraseProbe { .. }
            | Request::LoadSae { .. }
            | Request::ReadFeatures { .. }
            | Request::ContrastFeatures { .. }
            | Request::LookAtFeature { .. }
            | Request::AblateFeature { .. }
            | Request::Train { .. }
    )
}

/// Why the loaded model's device was lost, if it was.
fn lost_device(bench: &Bench) -> Option<String> {
    bench.session.as_ref()?.engine.gpu()?.lost()
}

/// The loaded model.
fn session(bench: &mut Bench) -> Result<&mut Session, Stop> {
    bench.session.as_mut().ok_or_else(|| Stop::failed("No model is loaded", "Load a model first, then try again."))
}

fn estimate(evidence::Estimate { mean, interval, examples }: evidence::Estimate) -> Estimate {
    Estimate { mean, interval, examples: examples as u32 }
}

/// Tells the page how many tokens of how many have been read.
fn reading(live: &Live) -> impl FnMut(u64, u64) {
    let (job, throttle) = (live.job, Throttle::new());
    move |done, total| {
        if throttle.open() || done == total {
            let progress = Progress { stage: Stage::Reading, done, total: Some(total), rate: None };
            host::send(Event::Progress { job, progress });
        }
    }
}
