//! `tiller sae bias`: to which of two concepts others are tied.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::output;
use crate::sae_flags::SaeFlags;
use crate::texts_file;
use anyhow::{Context, anyhow, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tiller_engine::{Harvest, Site, TapRows};
use tiller_experiment::Session;
use tiller_interp::evidence::NEUTRAL_TEXT;
use tiller_interp::sae::{ConceptBias, concept_bias, concept_code, concept_directions, spearman};
use tiller_interp::shuffled;
use tiller_recipe::Prompt;

/// Orders of the model's answers, drawn at random, that the correlation is held against.
const PERMUTATIONS: u64 = 2000;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    #[command(flatten)]
    sae: SaeFlags,
    /// Texts of concepts, one on each line: {"concept": "nurse", "text": ".."}.
    #[arg(long, value_name = "FILE.jsonl")]
    concepts: PathBuf,
    /// Texts of nothing in particular, one on each line: {"text": ".."}.
    #[arg(long, value_name = "FILE.jsonl")]
    general: PathBuf,
    /// How many of them to read.
    #[arg(long, value_name = "N", default_value_t = 200)]
    general_texts: usize,
    /// The concept that counts as above 0.
    #[arg(long, value_name = "CONCEPT")]
    a: String,
    /// The concept that counts as below 0.
    #[arg(long, value_name = "CONCEPT")]
    b: String,
    /// How far activations are moved along a concept, in multiples of their length.
    #[arg(long, value_name = "X", default_value_t = 0.5)]
    length: f64,
    /// What the model is asked, with {} in the place of a concept, as in "The {} said that".
    #[arg(long, value_name = "TEXT", requires = "answers")]
    ask: Option<String>,
    /// The tokens whose logits are compared after it, the one for a first, as in " he, she".
    #[arg(long, value_name = "TOKEN,TOKEN", value_delimiter = ',', requires = "ask")]
    answers: Vec<String>,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Line {
    concept: String,
    text: String,
}

#[derive(Serialize)]
struct Report {
    concepts: Vec<Row>,
    /// `None` where the model was not asked.
    agreement: Option<Agreement>,
}

#[derive(Serialize)]
struct Row {
    concept: String,
    #[serde(flatten)]
    bias: ConceptBias,
    /// The logit of the answer for a less that of the one for b.
    answer: Option<f64>,
}

/// Spearman's rank correlation of scores with answers.
#[derive(Serialize)]
struct Agreement {
    by_features: f64,
    by_direction: f64,
    /// The share of random orders of the answers whose correlation with the features' scores is as large.
    chance: f64,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let concepts = read(&flags.concepts)?;
    let general = texts_file::read(&flags.general)?;
    let mut loaded = flags.device.load(&flags.model).await?;
    let opened = flags.sae.open(&loaded).await?;
    let placed = opened.place.of(&opened.sae);
    let session = &mut loaded.session;
    let mut tokens = Vec::new();
    for (name, texts) in &concepts {
        let of_text = |text: &String| session.tokens(&Prompt::Text(text.clone()));
        let texts = texts.iter().map(of_text).collect::<Result<Vec<_>, _>>();
        tokens.push(texts.map_err(|error| anyhow!("the texts of {name}: {error}"))?);
    }
    let most = flags.general_texts.min(general.len());
    let mut general = texts_file::tokens(&general[..most], session, usize::MAX, 64)?;
    general.retain(|text| !text.is_empty());
    let directions = concept_directions(&mut session.engine, &placed, &tokens, &general, &(), |_, _| {}).await?;
    let place = |name: &str| {
        let found = concepts.iter().position(|(concept, _)| concept == name);
        found.with_context(|| format!("{name} is not among the concepts: give texts of it"))
    };
    let (a, b) = (place(&flags.a)?, place(&flags.b)?);
    let (neutral, length) = neutral(session, placed.site, flags.length).await?;
    let mut codes = Vec::new();
    for (direction, (name, _)) in directions.iter().zip(&concepts) {
        let none = || format!("the texts of {name} are like those of nothing in particular: write others");
        codes.push(concept_code(&placed, &neutral, direction.as_ref().with_context(none)?, length, &()).await?);
    }
    let directions: Vec<Vec<f32>> = directions.into_iter().flatten().collect();
    let mut rows = Vec::new();
    for (n, (concept, _)) in concepts.iter().enumerate().filter(|(n, _)| *n != a && *n != b) {
        let bias = concept_bias([&codes[n], &codes[a], &codes[b]], [&directions[n], &directions[a], &directions[b]], 5);
        let answer = match &flags.ask {
            Some(ask) => Some(answer(session, &ask.replace("{}", concept), &flags.answers).await?),
            None => None,
        };
        rows.push(Row { concept: concept.clone(), bias, answer });
    }
    rows.sort_by(|a, b| b.bias.score.total_cmp(&a.bias.score));
    let report = Report { agreement: agreement(&rows), concepts: rows };
    if flags.json {
        return output::json(&report);
    }
    let mut table = format!(
        "concept            by features   by direction   answers   features, what each adds ({} above 0, {} below)\n",
        flags.a, flags.b
    );
    for Row { concept, bias, answer } in &report.concepts {
        let features = bias.features.iter().map(|(feature, term)| format!("{feature} {term:+.3}"));
        let answer = answer.map_or("-".into(), |answer| format!("{answer:+.2}"));
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "{concept:<18} {:>+11.3}   {:>+12.3}   {answer:>7}   {}",
            bias.score,
            bias.by_direction,
            features.collect::<Vec<_>>().join(", ")
        );
    }
    if let Some(Agreement { by_features, by_direction, chance }) = report.agreement {
        let _ = writeln!(
            table,
            "\nRank correlation with the answers: {by_features:+.2} by features ({:.1} % of random orders are as far from 0), \
             {by_direction:+.2} by direction",
            100.0 * chance
        );
    }
    output::text(&table)
}

/// Concepts in their order, with their texts.
fn read(path: &Path) -> anyhow::Result<Vec<(String, Vec<String>)>> {
    const LINE: &str = r#"write a concept and a text on each line, as in {"concept": "nurse", "text": ".."}"#;
    let name = path.display();
    let file = std::fs::read_to_string(path).map_err(|error| anyhow!("{name} could not be read ({error}): {LINE}"))?;
    let mut concepts: Vec<(String, Vec<String>)> = Vec::new();
    for (line, number) in file.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
        let wrong = |error| anyhow!("line {number} of {name} is no text of a concept ({error}): {LINE}");
        let Line { concept, text } = serde_json::from_str(line).map_err(wrong)?;
        if text.is_empty() {
            bail!("line {number} of {name} has an empty text: {LINE}");
        }
        match concepts.iter_mut().find(|(known, _)| *known == concept) {
            Some((_, texts)) => texts.push(text),
            None => concepts.push((concept, vec![text])),
        }
    }
    Ok(concepts)
}

/// Activations of the neutral text but for its first token, and how long a move of `times` their mean length is.
async fn neutral(session: &mut Session, site: Site, times: f64) -> anyhow::Result<(Vec<f32>, f64)> {
    let prompts = [session.tokens(&Prompt::Text(NEUTRAL_TEXT.into()))?];
    let harvest = Harvest { prompts: &prompts, sites: &[site], rows: TapRows::All, edits: &[] };
    let (mut values, mut lengths) = (Vec::new(), Vec::new());
    let sink = |reading: tiller_engine::Reading<'_>| {
        if reading.position > 0 {
            values.extend_from_slice(reading.values);
            lengths.push(reading.values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt());
        }
    };
    session.engine.harvest(&harvest, &(), |_, _| {}, sink).await?;
    let mean = lengths.iter().sum::<f64>() / lengths.len().max(1) as f64;
    Ok((values, times * mean))
}

/// The difference of the two answers' logits after a text.
async fn answer(session: &mut Session, text: &str, answers: &[String]) -> anyhow::Result<f64> {
    let [for_a, for_b] = answers else { bail!("name two answers, as in --answers \" he, she\"") };
    let (for_a, for_b) = (session.one_token(for_a)?, session.one_token(for_b)?);
    let prompts = [session.tokens(&Prompt::Text(text.into()))?];
    let harvest = Harvest { prompts: &prompts, sites: &[Site::Logits], rows: TapRows::Picks, edits: &[] };
    let mut found = 0.0;
    let sink = |reading: tiller_engine::Reading<'_>| {
        found = f64::from(reading.values[for_a as usize]) - f64::from(reading.values[for_b as usize]);
    };
    session.engine.harvest(&harvest, &(), |_, _| {}, sink).await?;
    Ok(found)
}

fn agreement(rows: &[Row]) -> Option<Agreement> {
    let answers = rows.iter().map(|row| row.answer).collect::<Option<Vec<f64>>>().filter(|found| found.len() > 2)?;
    let features: Vec<f64> = rows.iter().map(|row| row.bias.score).collect();
    let directions: Vec<f64> = rows.iter().map(|row| row.bias.by_direction).collect();
    let by_features = spearman(&features, &answers);
    let as_far = |seed: &u64| {
        let dealt: Vec<f64> = shuffled(*seed, answers.len()).into_iter().map(|n| answers[n]).collect();
        spearman(&features, &dealt).abs() >= by_features.abs()
    };
    let chance = (0..PERMUTATIONS).filter(as_far).count() as f64 / PERMUTATIONS as f64;
    Some(Agreement { by_features, by_direction: spearman(&directions, &answers), chance })
}
