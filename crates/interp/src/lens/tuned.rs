//! The tuned lens, trained here: what each block's residual stream says, once what later blocks always do is allowed for.

mod adam;
mod gradient;
mod reading;
mod target;

pub use gradient::LensGradient;
pub use reading::LensData;
pub use target::Target;

use super::translators::TunedLens;
use crate::InterpError;
use crate::evidence::Estimate;
use crate::shuffle::shuffled;
use crate::steer::splitmix64;
use adam::Learnt;
use gradient::gradients;
use serde::Serialize;
use tiller_engine::{Controls, Engine, EngineError, Site};

/// How a lens is trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TuneOptions {
    /// Which texts are held out, the order of positions, and the controls.
    pub seed: u64,
    /// Positions to train on, at most.
    pub positions: usize,
    /// Positions of other texts to judge by, at most.
    pub held_out: usize,
    /// Positions of a step.
    pub batch: usize,
    pub steps: usize,
    /// Adam's in the first step; it falls to 0 by as much in every step.
    pub learning_rate: f64,
    /// Controls at each place.
    pub controls: u32,
}

impl Default for TuneOptions {
    fn default() -> TuneOptions {
        TuneOptions { seed: 1, positions: 512, held_out: 96, batch: 8, steps: 80, learning_rate: 0.03, controls: 2 }
    }
}

/// What a lens says at one place, on positions that it was not trained on: mean `KL(model || lens)` in nats.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TunedLayer {
    #[serde(serialize_with = "super::logit_lens::as_text")]
    pub site: Site,
    /// Of the logit lens.
    pub plain: f64,
    /// Of the tuned lens.
    pub tuned: f64,
    /// Of its translators with their numbers at other places of the activation.
    pub permuted: Vec<f64>,
    /// What tuning saves, position by position: the logit lens's divergence less the tuned lens's.
    pub saved: Estimate,
}

/// A trained lens and its evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuned {
    pub lens: TunedLens,
    /// The last first.
    pub layers: Vec<TunedLayer>,
    pub trained_on: usize,
    pub held_out: usize,
}

/// Trains a translator for every place at once on the texts' own next-token distributions, and judges them on texts that
/// were held out. The model's weights stay as they are.
///
/// `texts`: token ids; their first tokens are left out, whose residual stream is out of scale in many models.
/// `progress` is told the work done and in all. Errors when there is too little text, an option is 0, the activations
/// take more memory than is allowed, a number is not finite, the device is lost, or the work was cancelled.
pub async fn tune_lens(
    engine: &mut Engine,
    texts: &[Vec<u32>],
    options: &TuneOptions,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<Tuned, InterpError> {
    let order = shuffled(options.seed, texts.len());
    let tokens = |text: usize| texts[text].len().saturating_sub(1);
    let in_all: usize = (0..texts.len()).map(tokens).sum();
    // Little text is divided: a fifth is held out.
    let wanted = options.held_out.min(in_all / 5);
    let (mut held_out, mut training, mut held) = (Vec::new(), Vec::new(), 0);
    for text in order {
        let part = if held < wanted { &mut held_out } else { &mut training };
        held += tokens(text);
        part.push(texts[text].clone());
    }
    if wanted == 0 || training.iter().all(|text| text.len() < 2) {
        return Err(InterpError::TooLittleText { tokens: in_all, needed: 10 });
    }
    let places = engine.config().layers as u64;
    let (held, steps) = (wanted as u64, options.steps as u64);
    let reading = (options.positions + options.held_out) as u64;
    let judging = held * places * (2 + u64::from(options.controls));
    // A step's rows go forth and back.
    let stepping = 2 * options.batch as u64 * places;
    let total = reading + steps * stepping + judging;
    let data = LensData::read(engine, &training, options.positions, controls).await?;
    let unseen = LensData::read(engine, &held_out, wanted, controls).await?;
    progress(reading, total);
    let lens = fit(engine, &data, options, controls, |done, _| progress(reading + done * stepping, total)).await?;
    let begun = reading + steps * stepping;
    let layers = judge(engine, &unseen, &lens, options, controls, |done, _| progress(begun + done, total)).await?;
    Ok(Tuned { lens, layers, trained_on: data.positions(), held_out: unseen.positions() })
}

/// The training alone. `progress` is told the steps done and in all.
pub async fn fit(
    engine: &mut Engine,
    data: &LensData,
    options: &TuneOptions,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<TunedLens, InterpError> {
    if options.batch == 0 || options.steps == 0 || !(options.learning_rate > 0.0) {
        return Err(InterpError::LensOptions);
    }
    let mut lens = TunedLens::identity(engine.config().layers, engine.config().width as usize);
    let start = lens.translators().iter().zip(data.units());
    let mut learnt: Vec<Learnt> = start.map(|(translator, unit)| Learnt::new(translator, unit)).collect();
    let batch = options.batch.min(data.positions());
    let mut order: Vec<usize> = Vec::new();
    for step in 0..options.steps {
        if order.len() < batch {
            order = shuffled(splitmix64(options.seed, step as u64), data.positions());
        }
        let rows = order.split_off(order.len() - batch);
        let targets = data.targets(engine, &rows, controls).await?;
        let found = gradients(engine, lens.translators(), &data.residuals(&rows), &targets, controls).await?;
        let rate = options.learning_rate * (1.0 - step as f64 / options.steps as f64);
        for ((learnt, gradient), translator) in learnt.iter_mut().zip(&found).zip(lens.translators_mut()) {
            learnt.step(gradient, step + 1, rate);
            learnt.write(translator);
        }
        progress(step as u64 + 1, options.steps as u64);
        rest(controls).await?;
    }
    Ok(lens)
}

/// What a lens loses on these positions, beside the logit lens and the permuted translators. `progress` is told the
/// distributions done and in all.
pub async fn judge(
    engine: &mut Engine,
    data: &LensData,
    lens: &TunedLens,
    options: &TuneOptions,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<Vec<TunedLayer>, InterpError> {
    let (layers, width) = (engine.config().layers, engine.config().width as usize);
    lens.check(layers, width)?;
    let plain = TunedLens::identity(layers, width);
    let permuted = (0..options.controls).map(|n| {
        let of_layer = |(place, found): (usize, &super::Translator)| {
            found.permuted(splitmix64(!options.seed, (u64::from(n) << 32) + place as u64))
        };
        lens.translators().iter().enumerate().map(of_layer).collect()
    });
    let lenses: Vec<Vec<_>> =
        [plain.translators().to_vec(), lens.translators().to_vec()].into_iter().chain(permuted).collect();
    // By lens and place, each position's.
    let mut found = vec![vec![Vec::with_capacity(data.positions()); lens.translators().len()]; lenses.len()];
    let batch = options.batch.clamp(1, data.positions());
    let total = (lenses.len() * lens.translators().len() * data.positions()) as u64;
    let mut done = 0;
    for first in (0..data.positions()).step_by(batch) {
        let rows: Vec<usize> = (first..data.positions().min(first + batch)).collect();
        let targets = data.targets(engine, &rows, controls).await?;
        let residuals = data.residuals(&rows);
        for (translators, found) in lenses.iter().zip(&mut found) {
            let mut translated = residuals.clone();
            for (row, residual) in translated.chunks_exact_mut(width).enumerate() {
                translators[row / rows.len()].apply(residual);
            }
            let mut unused = vec![0.0; engine.config().vocab as usize];
            let keep = |row: usize, logits: &[f32]| {
                let loss = targets[row % rows.len()].divergence(logits, None, &mut unused);
                found[row / rows.len()].push(loss);
            };
            engine.unembed(&translated, controls, |_, _| {}, keep).await?;
            done += (rows.len() * translators.len()) as u64;
            progress(done, total);
            rest(controls).await?;
        }
    }
    let of_place = |(place, translator): (usize, &super::Translator)| {
        let site = translator.site;
        let estimate = |values: &[f64]| Estimate::of(values).ok_or(InterpError::NotFinite { site });
        let [plain, tuned] = [0, 1].map(|lens| &found[lens][place]);
        let saved: Vec<f64> = plain.iter().zip(tuned).map(|(plain, tuned)| plain - tuned).collect();
        let permuted = found[2..].iter().map(|lens| estimate(&lens[place]).map(|found| found.mean));
        Ok(TunedLayer {
            site,
            plain: estimate(plain)?.mean,
            tuned: estimate(tuned)?.mean,
            permuted: permuted.collect::<Result<_, _>>()?,
            saved: estimate(&saved)?,
        })
    };
    lens.translators().iter().enumerate().map(of_place).collect()
}

/// The loss at every place and its gradient by the translators, over all positions of `data`.
pub async fn lens_gradients(
    engine: &mut Engine,
    data: &LensData,
    lens: &TunedLens,
    controls: &impl Controls,
) -> Result<Vec<LensGradient>, InterpError> {
    lens.check(engine.config().layers, engine.config().width as usize)?;
    let rows: Vec<usize> = (0..data.positions()).collect();
    let targets = data.targets(engine, &rows, controls).await?;
    gradients(engine, lens.translators(), &data.residuals(&rows), &targets, controls).await
}

/// Lets others run, and ends where it is asked to.
async fn rest(controls: &impl Controls) -> Result<(), InterpError> {
    controls.pause().await;
    match controls.cancelled() {
        true => Err(EngineError::Cancelled.into()),
        false => Ok(()),
    }
}
