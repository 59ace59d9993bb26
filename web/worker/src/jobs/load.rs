//! Fetching a model, or finding it in the cache, and loading it.

use super::session;
use crate::backend::Chosen;
use crate::desk::Bench;
use crate::failure::Stop;
use crate::host::{self, Throttle};
use crate::live::Live;
use std::cell::Cell;
use tiller_engine::{Engine, EngineError, Gpu};
use tiller_experiment::{DEFAULT_CONTEXT, Session};
use tiller_hub::Phase;
use tiller_protocol::{Event, ModelInfo, ModelRef, Progress, Sampling, Stage};

pub async fn run(bench: &mut Bench, live: &Live, model: ModelRef) -> Result<Event, Stop> {
    let begun = host::seconds();
    let report = |stage, done, total, rate| {
        host::send(Event::Progress { job: live.job, progress: Progress { stage, done, total, rate } });
    };
    report(Stage::Connecting, 0, None, None);

    let throttle = Throttle::new();
    let mut phase_before = None;
    let from_cache = Cell::new(true);
    let on_transfer = |progress: tiller_hub::Progress| {
        let stage = match progress.phase {
            Phase::Connecting => Stage::Connecting,
            Phase::Downloading => Stage::Downloading,
            Phase::Resuming { .. } => Stage::Resuming,
            Phase::Verifying => Stage::Verifying,
            Phase::Ready => return,
        };
        from_cache.set(from_cache.get() && stage != Stage::Downloading);
        if phase_before.replace(stage) != Some(stage) || throttle.open() {
            report(stage, progress.received, progress.total, Some(progress.bytes_per_s));
        }
    };
    let file = bench.cache.obtain(&bench.hub, &model, &live.transfer, on_transfer).await?;

    // The old model gives its memory back before the new one takes any.
    bench.session = None;
    let gpu = match bench.chosen {
        Chosen::Gpu => Some(Gpu::open().await.map_err(EngineError::from)?),
        Chosen::Cpu => None,
    };
    let on_load = |done, total| {
        if throttle.open() || done == total {
            report(Stage::Loading, done, Some(total), None);
        }
    };
    bench.session = Some(Session::load(&file, gpu, DEFAULT_CONTEXT, live, on_load).await?);

    report(Stage::Compiling, 0, None, None);
    let session = session(bench)?;
    warm_up(&mut session.engine, live).await?;

    let config = session.engine.config();
    let info = ModelInfo {
        reference: model,
        name: session.facts.name.clone(),
        architecture: config.architecture.clone(),
        layers: config.layers,
        width: config.width,
        vocabulary: config.vocab,
        parameters: session.facts.parameters,
        quantisation: session.facts.quantisation.clone(),
        context: (session.engine.kv_rows() / 2).min(config.context),
        has_chat_template: session.template.is_some(),
        device_bytes: session.engine.device_bytes(),
        heap_bytes: host::heap_bytes(),
        seconds: host::seconds() - begun,
        from_cache: from_cache.get(),
    };
    Ok(Event::Loaded { job: live.job, model: info })
}

/// Writes two tokens, so that shaders are compiled and memory is touched before the user waits for them.
async fn warm_up(engine: &mut Engine, live: &Live) -> Result<(), Stop> {
    let what = tiller_engine::Generation {
        lanes: vec![tiller_engine::Lane { prompt: vec![0; 2], edits: Vec::new() }],
        edits: Vec::new(),
        sampling: Sampling::GREEDY,
        max_tokens: 2,
        end_tokens: Vec::new(),
        alternatives: true,
    };
    engine.generate(&what, live, host::seconds, |_| {}).await?;
    Ok(())
}
