//! Fetching a model, or finding it in the cache, and loading it.

use super::session;
use crate::cached_folder::{CachedFolder, is_of_folder, is_quantised};
use crate::desk::Bench;
use crate::failure::{Stop, of_gpu};
use crate::host::{self, Throttle};
use crate::live::Live;
use std::cell::Cell;
use tiller_engine::EngineError;
use tiller_experiment::{DEFAULT_CONTEXT, LoadError, SELF_CHECK_TOLERANCE, Session, Tuned, self_check, tune};
use tiller_formats::Quant;
use tiller_hub::Phase;
use tiller_model::ModelFiles;
use tiller_protocol::{DeviceCheck, DeviceTuning, Event, ModelInfo, ModelRef, Progress, Stage};

pub async fn run(bench: &mut Bench, live: &Live, model: ModelRef, download: bool) -> Result<Event, Stop> {
    if !download && !bench.cache.has(&model).await? {
        return Ok(Event::NotHere { job: live.job, model });
    }
    Ok(match load(bench, live, model.clone(), download).await? {
        Some(model) => Event::Loaded { job: live.job, model },
        None => Event::NotHere { job: live.job, model },
    })
}

/// Loads the model again that was on a device which is lost.
pub async fn restore(bench: &mut Bench, live: &Live, reason: String) -> Result<(), Stop> {
    let Some(model) = bench.loaded.clone() else { return Err(of_gpu("The GPU was lost", reason)) };
    if !bench.restores.allow(host::seconds()) {
        let again = format!("it was lost again and again within a minute ({reason}): wait a little, or use the CPU");
        return Err(of_gpu("The GPU does not hold", again));
    }
    host::send(Event::DeviceLost { job: live.job, reason });
    let model = load(bench, live, model, true).await?.expect("what is not here is fetched");
    host::send(Event::Restored { job: live.job, model });
    Ok(())
}

fn report(live: &Live, stage: Stage, done: u64, total: Option<u64>, rate: Option<f64>) {
    host::send(Event::Progress { job: live.job, progress: Progress { stage, done, total, rate } });
}

/// Tells the page how far a transfer is: at once what happens, and now and then how much of it.
pub fn telling(live: &Live) -> impl FnMut(tiller_hub::Progress) + '_ {
    let throttle = Throttle::new();
    let mut stage_before = None;
    move |progress| {
        let stage = match progress.phase {
            Phase::Connecting => Stage::Connecting,
            Phase::Downloading => Stage::Downloading,
            Phase::Resuming { .. } => Stage::Resuming,
            Phase::Waiting { seconds } => Stage::Waiting { seconds: seconds.ceil() as u32 },
            Phase::Elsewhere => Stage::Elsewhere,
            Phase::Verifying => Stage::Verifying,
            Phase::Ready => return,
        };
        if stage_before.replace(stage) != Some(stage) || throttle.open() {
            report(live, stage, progress.received, progress.total, Some(progress.bytes_per_s));
        }
    }
}

/// `None` where something would have to be fetched, and `download` does not say so.
async fn load(bench: &mut Bench, live: &Live, model: ModelRef, download: bool) -> Result<Option<ModelInfo>, Stop> {
    let begun = host::seconds();
    let before = bench.loaded.clone();
    report(live, Stage::Connecting, 0, None, None);

    let throttle = Throttle::new();
    let from_cache = Cell::new(true);
    let mut tell = telling(live);
    let on_transfer = |progress: tiller_hub::Progress| {
        from_cache.set(from_cache.get() && !matches!(progress.phase, Phase::Downloading));
        tell(progress);
    };
    let on_load = |done, total| {
        if throttle.open() || done == total {
            report(live, Stage::Loading, done, Some(total), None);
        }
    };
    let note;
    if is_of_folder(&model) {
        let with = (&bench.cache, &bench.hub, &live.transfer);
        let folder = CachedFolder::new(with, &model, download, on_transfer);
        let quantise = is_quantised(&model, model.bytes).then_some(Quant::Q8_0);
        let read = ModelFiles::from_repository(&folder, quantise).await.map_err(LoadError::from);
        let Some((mut files, kept)) = folder.finish(read).await? else { return Ok(None) };
        note = kept;
        // A repository's files do not say what it is called.
        files.config.name.get_or_insert_with(|| model.repo.rsplit('/').next().unwrap_or_default().to_string());
        (bench.session, bench.loaded) = (None, None);
        let gpu = bench.backend.device().await.map_err(EngineError::from)?;
        bench.session = Some(Session::from_files(files, gpu, DEFAULT_CONTEXT, live, on_load).await?);
    } else {
        let obtained = bench.cache.obtain(&bench.hub, &model, &live.transfer, on_transfer).await?;
        note = obtained.note;
        // The old model gives its memory back before the new one takes any.
        (bench.session, bench.loaded) = (None, None);
        let gpu = bench.backend.device().await.map_err(EngineError::from)?;
        bench.session = Some(Session::load(&obtained.file, gpu, DEFAULT_CONTEXT, live, on_load).await?);
    }
    if before.as_ref() != Some(&model) {
        // Their numbers mean nothing in another model.
        (bench.sae, bench.lens, bench.training) = (None, None, None);
    }
    bench.loaded = Some(model.clone());
    if let Some(session) = &mut bench.session {
        bench.backend.staff(&mut session.engine);
    }

    report(live, Stage::Compiling, 0, None, None);
    tune_device(bench).await;
    session(bench)?.warm_up(live, host::seconds).await?;
    check_device(bench, live).await?;

    let session = self::session(bench)?;
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
        tokens_a_reading: session.engine.steps_a_reading(),
        seconds: host::seconds() - begun,
        from_cache: from_cache.get(),
        note,
    };
    Ok(Some(info))
}

/// Has the GPU compute in the way that was found best for such a model, or finds it now.
async fn tune_device(bench: &mut Bench) {
    let Some(session) = &bench.session else { return };
    if let Some(Tuned { device, tiers }) = tune(session, &bench.tuned, host::seconds).await {
        bench.tuned.insert(device.clone(), tiers.clone());
        host::send(Event::Tuned(DeviceTuning { device, tiers }));
    }
}

/// Compares the GPU with the CPU, on the first use of this GPU for weights in these formats.
async fn check_device(bench: &mut Bench, live: &Live) -> Result<(), Stop> {
    let session = session(bench)?;
    let Some(gpu) = session.engine.gpu().cloned() else { return Ok(()) };
    let formats: Vec<String> = session.facts.quants.iter().map(ToString::to_string).collect();
    let device = format!("{}, {}, {}", gpu.adapter().name, env!("CARGO_PKG_VERSION"), formats.join(" "));
    let quants = session.facts.quants.clone();
    if bench.checked.contains(&device) {
        return Ok(());
    }
    let mut difference = 0f32;
    for (done, &quant) in quants.iter().enumerate() {
        report(live, Stage::Comparing, done as u64, Some(quants.len() as u64), None);
        difference = difference.max(self_check(&gpu, quant, live).await?);
    }
    let agrees = difference <= SELF_CHECK_TOLERANCE;
    bench.checked.insert(device.clone());
    host::send(Event::Checked(DeviceCheck { device, agrees, difference }));
    Ok(())
}
