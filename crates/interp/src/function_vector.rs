//! Function vectors: what demonstrations of a task leave at the last token, put into prompts that have none.
//!
//! A task is steerable where the vector makes the model do it, and decodable where the logit lens finds the answers, or
//! the vector in the vocabulary's terms names them. The two need not go together.

use crate::InterpError;
use crate::evidence::Estimate;
use crate::lens::largest;
use crate::log_softmax::LogSoftmax;
use crate::neurons::{WrittenToken, logits_of};
use crate::probe::{Activations, Read, read};
use crate::steer::random_direction;
use crate::tally::Tally;
use serde::Serialize;
use std::collections::BTreeSet;
use tiller_engine::{Controls, Edit, Engine, Harvest, Positions, Site, TapRows};

/// A prompt, and the token that is right after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub prompt: Vec<u32>,
    pub answer: u32,
}

/// A task, in tokens. No query that reports has had a part in making or choosing the vector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskPrompts {
    /// Demonstrations and a query after them.
    pub demonstrated: Vec<Vec<u32>>,
    /// The same with the demonstrated outputs exchanged.
    pub shuffled: Vec<Vec<u32>>,
    /// Queries without demonstrations, by which layer and strength are chosen.
    pub choosing: Vec<Query>,
    /// Queries without demonstrations, of which is reported.
    pub reporting: Vec<Query>,
    /// The same after demonstrations, and after shuffled ones.
    pub reporting_demonstrated: Vec<Query>,
    pub reporting_shuffled: Vec<Query>,
}

/// What is taken off the mean after demonstrations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// The mean after shuffled demonstrations: what words and layout leave falls out. So does what shuffled ones still
    /// say of the task, which is much where the outputs alone give it away, as capitals do.
    #[default]
    Shuffled,
    /// The mean after queries without demonstrations (of those that choose): all that demonstrations leave stays, layout
    /// included.
    Bare,
}

/// Where and how strongly to try the vector.
#[derive(Clone, Copy, Debug)]
pub struct FunctionPlan<'a> {
    pub baseline: Baseline,
    pub layers: &'a [u32],
    /// In multiples of the vector itself.
    pub strengths: &'a [f32],
    /// One random direction of the vector's length for each.
    pub seeds: &'a [u32],
}

/// How often the answer is what the model finds most probable, and how probable it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Answered {
    /// Share of the queries, 0 to 1.
    pub accuracy: f64,
    /// Mean natural logarithm of the answer's probability.
    pub log_prob: f64,
}

/// One layer and strength, on the queries that choose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FunctionCell {
    pub layer: u32,
    pub strength: f32,
    /// `None` where the outputs were not finite.
    pub answered: Option<Answered>,
}

/// What a function vector comes to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FunctionReport {
    pub cells: Vec<FunctionCell>,
    pub layer: u32,
    pub strength: f32,
    /// `[d_model]` at the chosen layer: mean after demonstrations less the baseline's.
    #[serde(skip)]
    pub direction: Vec<f32>,
    /// L2 norm of `direction`.
    pub norm: f32,
    /// Mean L2 norm of the residual stream that the demonstrated prompts leave there.
    pub typical_norm: f32,
    /// Queries that report.
    pub queries: usize,
    pub demonstrated: Answered,
    pub shuffled: Answered,
    pub plain: Answered,
    /// With the vector.
    pub steered: Answered,
    /// By how many nats the vector makes the answer likelier.
    pub gain: Estimate,
    /// With random directions as long; one that drove the outputs out of numbers is missing.
    pub random: Vec<Answered>,
    /// Share of demonstrated queries whose answer the logit lens has first at the chosen layer.
    pub lens: f64,
    /// What the vector writes in the vocabulary's terms, the most raised tokens first.
    pub writes: Vec<WrittenToken>,
    /// How many of `writes` are the first token of an answer of the task.
    pub answers_written: usize,
    /// The same for random directions.
    pub answers_written_by_random: Vec<usize>,
}

/// Tokens that a vector is said to write.
const WRITTEN: usize = 10;

/// Makes the vector of each layer (Todd et al. 2024, "Function Vectors in Large Language Models"; Hendel et al. 2023): the
/// mean residual stream after the block at the last token of demonstrated prompts, less that of a [`Baseline`]. It is added at the last token of prompts without demonstrations; layer and
/// strength with the most right answers (of as many, the most probable ones) are chosen on one half of the queries and
/// reported on the other, beside random directions of the same length.
///
/// `progress` is told the tokens done and in all. Errors when no layers or strengths are named, there are no queries, a
/// prompt is empty or too long, no cell gives numbers, or the work was cancelled.
pub async fn function_vector(
    engine: &mut Engine,
    task: &TaskPrompts,
    plan: &FunctionPlan<'_>,
    controls: &impl Controls,
    mut progress: impl FnMut(u64, u64),
) -> Result<FunctionReport, InterpError> {
    if plan.strengths.is_empty() {
        return Err(InterpError::NoStrengths);
    }
    let empty = [task.demonstrated.len(), task.shuffled.len(), task.choosing.len(), task.reporting.len()];
    if empty.contains(&0) || task.reporting_demonstrated.is_empty() || task.reporting_shuffled.is_empty() {
        return Err(InterpError::NoQueries);
    }
    let mut tally = Tally::new(total(task, plan), &mut progress);
    let sites: Vec<Site> = plan.layers.iter().map(|&layer| Site::ResidPost(layer)).collect();
    let mut last = Vec::with_capacity(2);
    for prompts in [&task.demonstrated, &baseline(task, plan)] {
        last.push(read(engine, prompts, &sites, Read::Last, &[], controls, |done, _| tally.within(done)).await?);
        tally.add(tokens(prompts));
    }
    let vectors: Vec<Vec<f32>> =
        last[0].iter().zip(&last[1]).map(|(with, without)| difference(with, without)).collect();

    let mut cells = Vec::with_capacity(plan.layers.len() * plan.strengths.len());
    for (&layer, vector) in plan.layers.iter().zip(&vectors) {
        for &strength in plan.strengths {
            let edit = added(layer, vector, strength);
            let found = answers(engine, &task.choosing, &[edit], controls, |done| tally.within(done)).await;
            let answered = unless_overdriven(found)?.map(|found| Answered::of(&found));
            tally.add(queried(&task.choosing));
            cells.push(FunctionCell { layer, strength, answered });
        }
    }
    let rank = |cell: &FunctionCell| cell.answered.map(|answered| (answered.accuracy, answered.log_prob));
    let numbers = cells.iter().filter_map(|cell| Some((cell, rank(cell)?)));
    // Of equals the earlier layer.
    let best = numbers.rev().max_by(|(_, a), (_, b)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let Some((&FunctionCell { layer, strength, .. }, _)) = best else { return Err(InterpError::Overdriven) };
    let place = plan.layers.iter().position(|&own| own == layer).expect("cells are of these layers");
    let direction = vectors[place].clone();
    let norm = direction.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt() as f32;

    let mut reported = Vec::with_capacity(4);
    let steering = [added(layer, &direction, strength)];
    let conditions: [(&[Query], &[Edit]); 4] = [
        (&task.reporting_demonstrated, &[]),
        (&task.reporting_shuffled, &[]),
        (&task.reporting, &[]),
        (&task.reporting, &steering),
    ];
    for (queries, edits) in conditions {
        reported.push(answers(engine, queries, edits, controls, |done| tally.within(done)).await?);
        tally.add(queried(queries));
    }
    let gains: Vec<f64> = reported[3].iter().zip(&reported[2]).map(|(steered, plain)| steered.1 - plain.1).collect();
    let mut random = Vec::with_capacity(plan.seeds.len());
    let directions: Vec<Vec<f32>> =
        plan.seeds.iter().map(|&seed| random_direction(u64::from(seed), direction.len())).collect();
    for other in &directions {
        let edits = [added(layer, other, strength * norm)];
        let found = answers(engine, &task.reporting, &edits, controls, |done| tally.within(done)).await;
        random.extend(unless_overdriven(found)?.map(|found| Answered::of(&found)));
        tally.add(queried(&task.reporting));
    }

    let lens = by_lens(engine, layer, &task.reporting_demonstrated, controls, |done| tally.within(done)).await?;
    tally.add(queried(&task.reporting_demonstrated));
    let answer_tokens: BTreeSet<u32> = task.choosing.iter().chain(&task.reporting).map(|query| query.answer).collect();
    let projected: Vec<Vec<f32>> = std::iter::once(direction.clone()).chain(directions).collect();
    let mut written: Vec<Vec<WrittenToken>> = Vec::with_capacity(projected.len());
    logits_of(engine, &projected, controls, &mut |_, _| {}, |_, logits| {
        let named = |token: u32| WrittenToken { token, logit: logits[token as usize] };
        written.push(largest(logits, WRITTEN).into_iter().map(named).collect());
    })
    .await?;
    let among =
        |tokens: &[WrittenToken]| tokens.iter().filter(|written| answer_tokens.contains(&written.token)).count();
    let by_random = written[1..].iter().map(|tokens| among(tokens)).collect();
    tally.finish();
    Ok(FunctionReport {
        cells,
        layer,
        strength,
        norm,
        typical_norm: last[0][place].typical_norm() as f32,
        direction,
        queries: task.reporting.len(),
        demonstrated: Answered::of(&reported[0]),
        shuffled: Answered::of(&reported[1]),
        plain: Answered::of(&reported[2]),
        steered: Answered::of(&reported[3]),
        gain: Estimate::of(&gains).ok_or(InterpError::Overdriven)?,
        random,
        lens,
        answers_written: among(&written[0]),
        answers_written_by_random: by_random,
        writes: written.swap_remove(0),
    })
}

impl Answered {
    fn of(found: &[(bool, f64)]) -> Answered {
        let n = found.len() as f64;
        Answered {
            accuracy: found.iter().filter(|(right, _)| *right).count() as f64 / n,
            log_prob: found.iter().map(|(_, log_prob)| log_prob).sum::<f64>() / n,
        }
    }
}

fn baseline(task: &TaskPrompts, plan: &FunctionPlan<'_>) -> Vec<Vec<u32>> {
    match plan.baseline {
        Baseline::Shuffled => task.shuffled.clone(),
        Baseline::Bare => task.choosing.iter().map(|query| query.prompt.clone()).collect(),
    }
}

/// `strength * vector` at the last token of a prompt.
fn added(layer: u32, vector: &[f32], strength: f32) -> Edit {
    Edit::add(Site::ResidPost(layer), vector, strength).at(Positions::Last)
}

/// Mean of one less mean of the other, `[width]`.
fn difference(with: &Activations, without: &Activations) -> Vec<f32> {
    let mean = |of: &Activations| -> Vec<f64> {
        let mut mean = vec![0.0; of.width()];
        for text in 0..of.len() {
            mean.iter_mut().zip(of.row(text)).for_each(|(sum, &x)| *sum += f64::from(x) / of.len() as f64);
        }
        mean
    };
    mean(with).iter().zip(mean(without)).map(|(with, without)| (with - without) as f32).collect()
}

/// For each query, whether its answer is the most probable token, and the natural logarithm of its probability.
async fn answers(
    engine: &mut Engine,
    queries: &[Query],
    edits: &[Edit],
    controls: &impl Controls,
    mut progress: impl FnMut(u64),
) -> Result<Vec<(bool, f64)>, InterpError> {
    let prompts: Vec<Vec<u32>> = queries.iter().map(|query| query.prompt.clone()).collect();
    if let Some(query) = queries.iter().find(|query| query.answer >= engine.config().vocab) {
        return Err(tiller_engine::EngineError::UnknownToken(query.answer).into());
    }
    let what = Harvest { prompts: &prompts, sites: &[Site::Logits], rows: TapRows::Picks, edits };
    let mut found = vec![(false, f64::NAN); queries.len()];
    engine
        .harvest(
            &what,
            controls,
            |done, _| progress(done),
            |reading| {
                let answer = queries[reading.prompt].answer;
                if let Some(distribution) = LogSoftmax::of(reading.values) {
                    let first = largest(reading.values, 1)[0] == answer;
                    found[reading.prompt] = (first, distribution.at(answer as usize));
                }
            },
        )
        .await?;
    if found.iter().all(|(_, log_prob)| log_prob.is_finite()) { Ok(found) } else { Err(InterpError::Overdriven) }
}

/// Share of the queries whose answer comes first where the final norm and the unembedding read the stream after the block.
async fn by_lens(
    engine: &mut Engine,
    layer: u32,
    queries: &[Query],
    controls: &impl Controls,
    mut progress: impl FnMut(u64),
) -> Result<f64, InterpError> {
    let prompts: Vec<Vec<u32>> = queries.iter().map(|query| query.prompt.clone()).collect();
    let sites = [Site::ResidPost(layer)];
    let found = read(engine, &prompts, &sites, Read::Last, &[], controls, |done, _| progress(done)).await?.remove(0);
    let streams: Vec<f32> = (0..queries.len()).flat_map(|query| found.row(query).to_vec()).collect();
    let mut right = 0;
    engine
        .unembed(
            &streams,
            controls,
            |_, _| {},
            |query, logits| {
                right += usize::from(largest(logits, 1)[0] == queries[query].answer);
            },
        )
        .await?;
    Ok(right as f64 / queries.len() as f64)
}

fn unless_overdriven<T>(found: Result<T, InterpError>) -> Result<Option<T>, InterpError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(InterpError::Overdriven) => Ok(None),
        Err(error) => Err(error),
    }
}

fn tokens(prompts: &[Vec<u32>]) -> u64 {
    prompts.iter().map(|prompt| prompt.len() as u64).sum()
}

fn queried(queries: &[Query]) -> u64 {
    queries.iter().map(|query| query.prompt.len() as u64).sum()
}

fn total(task: &TaskPrompts, plan: &FunctionPlan<'_>) -> u64 {
    let cells = (plan.layers.len() * plan.strengths.len()) as u64;
    let making = tokens(&task.demonstrated) + tokens(&baseline(task, plan)) + cells * queried(&task.choosing);
    let demonstrated = 2 * queried(&task.reporting_demonstrated) + queried(&task.reporting_shuffled);
    making + demonstrated + (2 + plan.seeds.len() as u64) * queried(&task.reporting)
}
