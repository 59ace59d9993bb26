//! Probes: at every layer, on a text, and after erasing.

use super::{reading, session};
use crate::desk::Bench;
use crate::failure::Stop;
use crate::host;
use crate::live::Live;
use tiller_engine::Site;
use tiller_experiment::{ProbeTexts, Session, read_at};
use tiller_interp::probe::{
    Erasing, LayerProbe, Part, Probe, ProbeMethod, Readout, Scores, Split, Sweep, SweepOptions, erase_and_measure,
    sweep, token_scores,
};
use tiller_protocol::{
    AfterErasure, CalibrationBin, ControlTask, Controlled, Event, ProbeErasure, ProbeLayer, ProbePrediction,
    ProbeScores, ProbeSpec, ProbeSummary, ProbedText, ProbedToken, ReadProbe,
};
use tiller_recipe::{Direction, Prompt};

/// The seeds of the erasures that erase nothing in particular.
const CONTROL_SEEDS: [u64; 2] = [1, 2];

pub async fn fit(bench: &mut Bench, live: &Live, spec: &ProbeSpec) -> Result<Event, Stop> {
    let session = session(bench)?;
    let (texts, options) = prepared(session, spec)?;
    let sites: Vec<Site> = (0..session.engine.config().layers).map(Site::ResidPost).collect();
    let send = |layer: &LayerProbe| {
        if let Some(layer) = shown(layer) {
            host::send(Event::ProbeLayer { job: live.job, layer });
        }
    };
    let found = sweep(&mut session.engine, &texts.examples(), &sites, &options, live, reading(live), send).await?;
    Ok(Event::ProbesFitted { job: live.job, summary: summary(found, texts.classes) })
}

/// The probe on every token of a prompt.
pub async fn read(
    bench: &mut Bench,
    live: &Live,
    block: u32,
    probe: &ReadProbe,
    prompt: &Prompt,
) -> Result<Event, Stop> {
    let session = session(bench)?;
    let tokens = session.tokens(prompt)?;
    let norm = f64::from(probe.norm);
    let readout = Readout {
        weights: probe.direction.to_f32().into_iter().map(|x| f64::from(x) * norm).collect(),
        bias: probe.bias.into(),
        slope: probe.slope.into(),
    };
    let site = Site::ResidPost(block);
    let scores = token_scores(&mut session.engine, &readout, site, &tokens, &[], live, reading(live)).await?;
    let token = |(&id, found): (&u32, &tiller_interp::probe::TokenScore)| ProbedToken {
        text: session.tokenizer.token_text(id),
        score: found.score as f32,
        probability: found.probability as f32,
    };
    let text = ProbedText { tokens: tokens.iter().zip(&scores).map(token).collect() };
    Ok(Event::TextProbed { job: live.job, text })
}

pub async fn erase(bench: &mut Bench, live: &Live, spec: &ProbeSpec, block: u32) -> Result<Event, Stop> {
    let session = session(bench)?;
    let (texts, options) = prepared(session, spec)?;
    let neutral = session.neutral()?;
    let last = session.engine.config().layers - 1;
    let split = Split::of(&texts.labels, texts.groups.as_deref(), options.seed)?;
    let what = Erasing {
        examples: &texts.examples(),
        split: &split,
        method: options.method,
        fit: options.fit,
        read: options.read,
        site: Site::ResidPost(block),
        later: (block < last).then_some(Site::ResidPost(last)),
        neutral: &neutral,
        seeds: &CONTROL_SEEDS,
    };
    let found = erase_and_measure(&mut session.engine, &what, live, reading(live)).await?;
    let after = found.after.iter().map(|at| AfterErasure {
        block: at.site.layer().unwrap_or(block),
        before: at.before as f32,
        after: at.after as f32,
        random: at.random.iter().map(|&x| x as f32).collect(),
    });
    let erasure = ProbeErasure {
        block,
        after: after.collect(),
        perplexity_plain: found.perplexity_plain,
        perplexity: Controlled { value: found.perplexity.value, random: found.perplexity.random },
    };
    Ok(Event::ProbeErased { job: live.job, erasure })
}

fn prepared(session: &Session, spec: &ProbeSpec) -> Result<(ProbeTexts, SweepOptions), Stop> {
    let method = spec.method.parse::<ProbeMethod>();
    let method = method.map_err(|unknown| Stop::failed("The probes cannot be fitted", unknown.to_string()))?;
    let texts = session.probe_texts(&spec.rows)?;
    Ok((texts, SweepOptions { method, read: read_at(spec.read), ..SweepOptions::default() }))
}

/// The probe as it travels: its direction rounded, and its bias such that the mean of the training texts scores as before.
fn rounded(probe: &Probe) -> Option<ReadProbe> {
    let norm = probe.readout.norm();
    let unit: Vec<f32> = probe.readout.weights.iter().map(|w| (w / norm) as f32).collect();
    let direction = Direction::along(&unit)?;
    let lost: f64 = probe
        .readout
        .weights
        .iter()
        .zip(direction.to_f32())
        .zip(&probe.mean)
        .map(|((w, d), mean)| (w - f64::from(d) * norm) * mean)
        .sum();
    let bias = (probe.readout.bias + lost) as f32;
    Some(ReadProbe { direction, norm: norm as f32, bias, slope: probe.readout.slope as f32 })
}

/// `None` for what is at no block, or has no direction in half precision.
fn shown(layer: &LayerProbe) -> Option<ProbeLayer> {
    let prediction = |found: &tiller_interp::probe::Prediction| ProbePrediction {
        row: found.text as u32,
        probability: found.probability as f32,
        positive: found.label,
    };
    let tested = layer.predictions.iter().filter(|found| found.part == Part::Test);
    Some(ProbeLayer {
        block: layer.site.layer()?,
        probe: rounded(&layer.probe)?,
        typical_norm: layer.typical_norm as f32,
        validation: scores(&layer.validation),
        test: scores(&layer.test),
        shuffled: layer.shuffled.iter().map(|&x| x as f32).collect(),
        control_task: layer.control_task.as_ref().map(|task| ControlTask {
            accuracy: task.accuracy as f32,
            texts: task.texts as u32,
            selectivity: task.selectivity as f32,
        }),
        predictions: tested.map(prediction).collect(),
    })
}

fn scores(found: &Scores) -> ProbeScores {
    let confusion = found.confusion;
    ProbeScores {
        texts: found.texts as u32,
        accuracy: found.accuracy as f32,
        low: found.interval.low as f32,
        high: found.interval.high as f32,
        balanced_accuracy: found.balanced_accuracy.map(|x| x as f32),
        auc: found.auc.map(|x| x as f32),
        brier: found.brier as f32,
        confusion: [
            confusion.true_positives as u32,
            confusion.false_positives as u32,
            confusion.true_negatives as u32,
            confusion.false_negatives as u32,
        ],
        calibration: found
            .calibration
            .iter()
            .map(|bin| CalibrationBin {
                texts: bin.texts as u32,
                probability: bin.probability as f32,
                positive: bin.positive as f32,
            })
            .collect(),
    }
}

fn summary(found: Sweep, classes: [String; 2]) -> ProbeSummary {
    let texts = |part| found.split.texts(part).len() as u32;
    ProbeSummary {
        classes,
        training: texts(Part::Training),
        validation: texts(Part::Validation),
        test: texts(Part::Test),
        by_group: found.split.by_group,
        majority: found.majority as f32,
        best: found.best().site.layer().unwrap_or(0),
    }
}
