//! Training a sparse autoencoder on the user's own texts: reading their activations, then one step after another.
//!
//! A training that is cancelled pauses. It lies on the bench until it goes on, so that other jobs can run in between.

mod corpus;
mod files;

use super::features::install;
use super::session;
use crate::desk::Bench;
use crate::failure::Stop;
use crate::host::{self, Throttle};
use crate::live::Live;
pub use files::save;
use tiller_engine::{Controls, EngineError, Gpu, Harvest, Reading, SaeTraining, Site, TapRows};
use tiller_experiment::Session;
use tiller_formats::SaeFile;
use tiller_interp::sae::held_out;
use tiller_model::is_over_keys;
use tiller_protocol::{
    Event, FEWEST_TRAINING_TOKENS, MOST_TRAINING_LETTERS, MOST_TRAINING_TOKENS, Progress, Stage, TRAINED, TrainDevice,
    TrainEvent, TrainMethod, TrainRequest, TrainSpec, TrainStep, TrainedQuality, TrainingText,
};
use tiller_sae::train::{
    Batches, ChosenRows, Device, Method, RowsInMemory, Setup, TrainError, TrainOptions, Trainer, of_usual_length,
};

/// Tokens of a stretch of text.
const STRETCH: usize = 128;
/// One stretch of so many is held back.
const HELD_BACK: usize = 10;
/// Activations that are in memory, as numbers.
const MOST_NUMBERS: usize = 32 << 20;
/// Weights of an encoder; the decoder has as many, and each has two running means.
const MOST_WEIGHTS: usize = 4 << 20;
const MOST_STEPS: u32 = 20_000;
/// Activations in a batch, and multiplications of its products with all encoders: a step is over within a second.
const BATCH: usize = 256;
const SMALLEST_BATCH: usize = 16;
const MOST_PRODUCTS: usize = 1 << 28;
/// Steps that a GPU is given before it is waited for, and parts of a training after which its weights are brought back:
/// that is what is left where the GPU is lost.
const STEPS_AHEAD: u32 = 8;
const TIMES_BROUGHT_BACK: u32 = 10;
/// Around a threshold, within which it is learnt.
const BANDWIDTH: f32 = 0.2;
/// Activations that the SAE is judged by, and that principal components are taken from.
const JUDGED: usize = 4096;

/// A training that is not finished.
pub struct Training {
    spec: TrainSpec,
    site: Site,
    method: Method,
    stretches: Vec<Vec<u32>>,
    /// Stretches whose activations have been read.
    read: usize,
    /// `[n, width]`
    values: Vec<f32>,
    width: usize,
    /// Stretch and position of each activation.
    places: Vec<(u32, u32)>,
    learning: Option<Learning>,
}

/// Once all is read.
struct Learning {
    /// The activations that are used, and those that are held back, by their numbers.
    training: Vec<usize>,
    held_out: Vec<usize>,
    trainer: Trainer,
    batches: Batches,
    steps: u32,
    /// By which the weights were brought back from a GPU.
    brought_back: u32,
    seconds: f64,
}

/// Why steps end before the last.
enum Ending {
    Stopped(Stop),
    /// The GPU that makes them failed.
    Stuck(String),
}

impl From<Stop> for Ending {
    fn from(stop: Stop) -> Ending {
        Ending::Stopped(stop)
    }
}

impl From<TrainError> for Ending {
    fn from(error: TrainError) -> Ending {
        match error {
            TrainError::Device(reason) => Ending::Stuck(reason),
            error => Ending::Stopped(unusable(error)),
        }
    }
}

/// What is soon over lets messages arrive, and is not stopped.
struct Unhurried;

impl Controls for Unhurried {
    async fn pause(&self) {
        host::breathe().await;
    }
}

fn unusable(reason: impl ToString) -> Stop {
    Stop::failed("The sparse autoencoder cannot be trained", reason)
}

pub async fn run(bench: &mut Bench, live: &Live, what: TrainRequest) -> Result<Event, Stop> {
    let end = |step| Ok(Event::Training { job: live.job, step });
    let keep = match what {
        TrainRequest::Begin(spec) => {
            bench.training = None;
            bench.training = Some(prepared(session(bench)?, live, spec)?);
            false
        }
        TrainRequest::Resume => false,
        TrainRequest::Keep => true,
        TrainRequest::Discard => {
            bench.training = None;
            return end(TrainEvent::Discarded);
        }
    };
    let mut training = bench.training.take().ok_or_else(|| unusable("There is none to go on with: begin another."))?;
    if keep && training.learning.is_none() {
        bench.training = Some(training);
        return Err(unusable("Nothing has been learnt yet: let it make a few steps first."));
    }
    if !keep {
        match go_on(session(bench)?, live, &mut training).await {
            Ok(()) => {}
            Err(Ending::Stopped(Stop::Cancelled)) => {
                bench.training = Some(training);
                return end(TrainEvent::Paused);
            }
            Err(Ending::Stopped(stop)) => return Err(stop),
            Err(Ending::Stuck(reason)) => {
                let step = training.learning.as_ref().map_or(0, |learning| learning.brought_back);
                bench.training = Some(training);
                return end(TrainEvent::Stuck { step, reason });
            }
        }
    }
    end(finish(bench, live, training).await?)
}

/// Checks what is asked for, and cuts the texts.
fn prepared(session: &Session, live: &Live, spec: TrainSpec) -> Result<Training, Stop> {
    let config = session.engine.config();
    let site: Site = spec.site.parse().map_err(unusable)?;
    config.check_site(site).map_err(unusable)?;
    if is_over_keys(site) {
        return Err(unusable("Attention patterns are as wide as a text is long: choose another activation."));
    }
    let width = config.site_width(site, 0) as usize;
    if spec.features as usize * width > MOST_WEIGHTS {
        let most = MOST_WEIGHTS / width.max(1);
        return Err(unusable(format!("As many features take too much memory: choose at most {most}.")));
    }
    if spec.steps > MOST_STEPS {
        return Err(unusable(format!("At most {MOST_STEPS} steps can be made in a tab: choose fewer.")));
    }
    if spec.texts.iter().map(String::len).sum::<usize>() > 4 * MOST_TRAINING_LETTERS {
        return Err(unusable("The text is too long: choose a part of it."));
    }
    let method = match spec.method {
        TrainMethod::TopK => Method::TopK { k: spec.k as usize },
        TrainMethod::BatchTopK => Method::BatchTopK { k: spec.k as usize },
        TrainMethod::Standard => Method::Standard { sparsity: spec.sparsity },
        TrainMethod::JumpRelu => Method::JumpRelu { sparsity: spec.sparsity, bandwidth: BANDWIDTH },
        TrainMethod::MatchingPursuit => Method::MatchingPursuit { k: spec.k as usize },
    };
    let longest = STRETCH.min(config.context as usize);
    let most = (MOST_TRAINING_TOKENS as usize).min(MOST_NUMBERS / width.max(1));
    let found = session.stretches(&spec.texts, longest, most)?;
    let tokens = found.tokens.iter().map(Vec::len).sum::<usize>();
    if tokens < FEWEST_TRAINING_TOKENS as usize || found.tokens.len() < 2 {
        let remedy = format!("There are {tokens} tokens, and at least {FEWEST_TRAINING_TOKENS} are needed: add text.");
        return Err(Stop::failed("There is too little text", remedy));
    }
    let text = TrainingText { tokens: tokens as u32, cut: found.cut };
    host::send(Event::Training { job: live.job, step: TrainEvent::Text(text) });
    Ok(Training {
        site,
        method,
        width,
        values: Vec::with_capacity(tokens * width),
        places: Vec::with_capacity(tokens),
        stretches: found.tokens,
        read: 0,
        learning: None,
        // Their tokens are what is left to be done with them.
        spec: TrainSpec { texts: Vec::new(), ..spec },
    })
}

/// Reads what is still to be read, and makes the steps that are still to be made.
async fn go_on(session: &mut Session, live: &Live, training: &mut Training) -> Result<(), Ending> {
    training.read(session, live).await?;
    if training.learning.is_none() {
        training.learning = Some(training.begin(session)?);
    }
    let Training { values, width, spec, learning, .. } = training;
    let Some(learning) = learning else { return Ok(()) };
    if !learning.trainer.can_go_on() {
        return Err(Ending::Stuck("the GPU that made the steps is gone".into()));
    }
    let throttle = Throttle::new();
    while learning.steps < spec.steps {
        live.pause().await;
        if live.cancelled() {
            learning.bring_back().await?;
            return Err(Stop::Cancelled.into());
        }
        let begun = host::seconds();
        let rows = ChosenRows { values, width: *width, chosen: &learning.training };
        let (next, last) = (learning.steps + 1, learning.steps + 1 == spec.steps);
        let told = throttle.open() || last;
        // A GPU is waited for where it is asked how it goes.
        let ask = told || next % STEPS_AHEAD == 1;
        let done = learning.trainer.step(&learning.batches.next(&rows), ask).await?;
        learning.steps = next;
        if next % (spec.steps / TIMES_BROUGHT_BACK).max(1) == 0 {
            learning.bring_back().await?;
        }
        learning.seconds += host::seconds() - begun;
        if let (Some(done), true) = (done, told) {
            let step = TrainStep {
                step: done.step as u32,
                steps: done.steps as u32,
                unexplained: done.unexplained as f32,
                l0: done.l0 as f32,
                dead: done.dead as u32,
                features: spec.features,
                on_gpu: learning.trainer.is_on_device(),
                seconds: learning.seconds as f32,
            };
            host::send(Event::Training { job: live.job, step: TrainEvent::Step(step) });
        }
    }
    Ok(())
}

impl Learning {
    async fn bring_back(&mut self) -> Result<(), TrainError> {
        self.trainer.bring_back().await?;
        self.brought_back = self.steps;
        Ok(())
    }
}

impl Training {
    /// Reads one stretch after another. The first token of each is left out: its activation is many times as long as any
    /// other's, whatever the token is (Sun et al. 2024, "Massive activations").
    async fn read(&mut self, session: &mut Session, live: &Live) -> Result<(), Stop> {
        let lengths = |stretches: &[Vec<u32>]| stretches.iter().map(Vec::len).sum::<usize>() as u64;
        let (total, throttle) = (lengths(&self.stretches), Throttle::new());
        while let Some(stretch) = self.stretches.get(self.read) {
            let (stretch, number) = (std::slice::from_ref(stretch), self.read as u32);
            let (values, places) = (&mut self.values, &mut self.places);
            let before = places.len();
            let sink = |reading: Reading<'_>| {
                if reading.position > 0 {
                    values.extend_from_slice(reading.values);
                    places.push((number, reading.position));
                }
            };
            let what = Harvest { prompts: stretch, sites: &[self.site], rows: TapRows::All, edits: &[] };
            let ended = session.engine.harvest(&what, live, |_, _| {}, sink).await;
            if let Err(error) = ended {
                // It is read again.
                self.places.truncate(before);
                self.values.truncate(before * self.width);
                return Err(match error {
                    EngineError::Cancelled => Stop::Cancelled,
                    error => error.into(),
                });
            }
            self.read += 1;
            let done = lengths(&self.stretches[..self.read]);
            if throttle.open() || done == total {
                let progress = Progress { stage: Stage::Reading, done, total: Some(total), rate: None };
                host::send(Event::Progress { job: live.job, progress });
            }
            if live.cancelled() && self.read < self.stretches.len() {
                return Err(Stop::Cancelled);
            }
        }
        Ok(())
    }

    fn is_held_out(&self, row: usize) -> bool {
        let stretch = self.places[row].0 as usize;
        // Of few stretches, the last.
        let last = self.stretches.len() < HELD_BACK && stretch + 1 == self.stretches.len();
        last || stretch % HELD_BACK == HELD_BACK - 1
    }

    /// The GPU that makes the steps; `None` for the CPU.
    fn device(&self, session: &Session) -> Result<Option<Gpu>, Stop> {
        let gpu = session.engine.gpu().filter(|_| self.method.suits_devices());
        match self.spec.device {
            TrainDevice::Cpu => Ok(None),
            TrainDevice::Auto => Ok(gpu.filter(|gpu| !gpu.adapter().software).cloned()),
            TrainDevice::Gpu if gpu.is_some() => Ok(gpu.cloned()),
            TrainDevice::Gpu if !self.method.suits_devices() => {
                Err(unusable("Matching pursuit is trained on the CPU alone: choose that, or another method."))
            }
            TrainDevice::Gpu => {
                Err(unusable("The model does not run on WebGPU: have it run there, or train on the CPU."))
            }
        }
    }

    fn begin(&self, session: &Session) -> Result<Learning, Stop> {
        let device = self.device(session)?;
        let usual = of_usual_length(&RowsInMemory { values: &self.values, width: self.width });
        let (held_out, training): (Vec<usize>, Vec<usize>) = usual.into_iter().partition(|&row| self.is_held_out(row));
        // A pursuit takes all products again for each of its steps.
        let times = if let Method::MatchingPursuit { k } = self.method { k + 1 } else { 1 };
        let products = self.spec.features as usize * self.width;
        let affordable = MOST_PRODUCTS / products.saturating_mul(times).max(1);
        let affordable = if device.is_some() { BATCH } else { affordable.clamp(SMALLEST_BATCH, BATCH) };
        let batch = affordable.min(training.len());
        let options = TrainOptions {
            learning_rate: self.spec.learning_rate,
            seed: self.spec.seed.into(),
            ..TrainOptions::new(self.method, self.spec.features as usize, batch, self.spec.steps as usize)
        };
        let rows = ChosenRows { values: &self.values, width: self.width, chosen: &training };
        let (mut trainer, batches) = Batches::begin(&rows, &options).map_err(unusable)?;
        if let Some(gpu) = device {
            let mut make =
                |setup: &Setup| -> Result<Box<dyn Device>, TrainError> { Ok(Box::new(SaeTraining::new(&gpu, setup)?)) };
            trainer.move_to(&mut make).map_err(unusable)?;
        }
        Ok(Learning { training, held_out, trainer, batches, steps: 0, brought_back: 0, seconds: 0.0 })
    }

    /// Some of the activations, evenly, as [`JUDGED`] allows.
    fn some(&self, chosen: &[usize]) -> Vec<f32> {
        let every = chosen.len().div_ceil(JUDGED).max(1);
        let rows = chosen.iter().step_by(every);
        rows.flat_map(|row| &self.values[row * self.width..(row + 1) * self.width]).copied().collect()
    }
}

/// Makes what has been learnt the SAE that is loaded, and judges it.
async fn finish(bench: &mut Bench, live: &Live, mut training: Training) -> Result<TrainEvent, Stop> {
    let session = session(bench)?;
    let Some(mut learning) = training.learning.take() else {
        return Err(unusable("Nothing has been learnt: begin another."));
    };
    // Of a GPU that failed, what was brought back before.
    if learning.trainer.can_go_on() {
        learning.bring_back().await.map_err(unusable)?;
    }
    let Learning { training: rows, held_out: held_back, trainer, brought_back: steps, .. } = learning;
    host::send(Event::Training { job: live.job, step: TrainEvent::Judging });
    let sae = trainer.finish();
    sae.check().map_err(unusable)?;
    let trained_on = files::trained_on(session, training.site);
    let (some, judged) = (training.some(&rows), training.some(&held_back));
    let found = held_out(&sae, &some, &judged, training.spec.seed, &Unhurried).await?;
    drop((some, judged));
    let corpus = corpus::of(session, &sae, &training, [&rows, &held_back]).await;
    let quality = TrainedQuality {
        training_tokens: rows.len() as u32,
        held_out_tokens: found.rows as u32,
        steps,
        features: sae.d_sae as u32,
        explained: found.explained as f32,
        l0: found.l0 as f32,
        dead: found.dead as u32,
        dead_everywhere: corpus.features.iter().filter(|feature| feature.density == 0.0).count() as u32,
        by_components: found.by_components as f32,
        by_random: found.by_random as f32,
    };
    let sae = install(bench, TRAINED.into(), SaeFile { sae, trained_on }, corpus, None)?;
    Ok(TrainEvent::Trained { sae, quality, kept: files::keep(bench).await })
}
