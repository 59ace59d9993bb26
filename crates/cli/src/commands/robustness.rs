//! `tiller robustness`: whether a vector does what it is said to do wherever one would use it.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::patching_flags::control_seeds;
use crate::{output, pairs_file, steering_flags, texts_file};
use anyhow::bail;
use clap::{Args, value_parser};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use tiller_experiment::{VectorNumbering, look_alikes};
use tiller_interp::steer::{AtStrength, Fragility, Robustness, RobustnessPlan, TokenPair, robustness};
use tiller_recipe::Prompt;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// The vector: a GGUF control vector or safetensors.
    #[arg(long, value_name = "VECTOR.gguf|VECTOR.safetensors")]
    vector: PathBuf,
    /// The block, from 0; may be left out where the file holds one vector only.
    #[arg(long, value_name = "N")]
    layer: Option<u32>,
    /// What the file's numbers mean, where it does not say: block-output or one-based.
    #[arg(long, value_name = "NUMBERING")]
    numbering: Option<VectorNumbering>,
    /// Texts after which the vector is to work, one on each line, as in {"text": "..", "source": ".."}. Those of one source
    /// say the same in other words.
    #[arg(long, value_name = "FILE.jsonl")]
    contexts: PathBuf,
    /// What could follow: a line for each pair, {"positive": "..", "negative": ".."}. They take turns.
    #[arg(long, value_name = "FILE.jsonl")]
    pairs: PathBuf,
    /// Words of the concept, spelt with their space: words that only look like them are looked for in the vocabulary.
    #[arg(long, value_name = "WORD,WORD,..", value_delimiter = ',')]
    words: Vec<String>,
    /// How strongly, in multiples of the residual stream's typical norm.
    #[arg(long, value_name = "S,S,..", value_delimiter = ',', allow_negative_numbers = true)]
    #[arg(default_values_t = [0.025, 0.05, 0.1, 0.15, 0.2, 0.3])]
    strengths: Vec<f32>,
    /// The most that a strength may add to the perplexity of a neutral text; 0.1 is a tenth.
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    most_cost: f64,
    /// Random directions beside it.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u8).range(1..=64))]
    controls: u8,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    layer: u32,
    contexts: usize,
    /// Words that were held against the concept's, as they are spelt.
    look_alikes: &'a [String],
    #[serde(flatten)]
    found: &'a Robustness,
    backend: &'static str,
    adapter: String,
}

/// Look-alikes that are held against the concept's words.
const LOOK_ALIKES: usize = 60;
/// Words without any concept, which say where nothing lies.
const UNRELATED: [&str; 12] = [
    " table", " seven", " number", " metal", " window", " paper", " street", " engine", " river", " cup", " wall",
    " inch",
];

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    if !flags.strengths.iter().all(|strength| strength.is_finite()) {
        bail!("a strength is no number that a vector can be multiplied by: give finite ones");
    }
    let (given, pairs) = (texts_file::read(&flags.contexts)?, pairs_file::read(&flags.pairs)?);
    let mut loaded = flags.device.load(&flags.model).await?;
    let session = &mut loaded.session;
    let config = session.engine.config();
    let (_, vector) = steering_flags::vector(&flags.vector, flags.layer, flags.numbering, config).await?;
    let contexts = texts_file::tokens(&given, session, usize::MAX, usize::MAX)?;
    let mut sources: BTreeMap<&str, usize> = BTreeMap::new();
    let mut groups = Vec::with_capacity(given.len());
    for (n, text) in given.iter().enumerate() {
        // A text without a source is a context of its own.
        groups.push(text.source.as_deref().map_or(n, |source| *sources.entry(source).or_insert(n)));
    }
    let encoded = |text: &str| session.tokenizer.encode(text, false, false);
    let ending = |pair: &tiller_recipe::Pair| {
        anyhow::Ok(TokenPair { positive: encoded(&pair.positive)?, negative: encoded(&pair.negative)? })
    };
    let endings = pairs.iter().map(ending).collect::<anyhow::Result<Vec<_>>>()?;
    let alike = match flags.words.is_empty() {
        true => Vec::new(),
        false => look_alikes(&session.tokenizer, &flags.words, LOOK_ALIKES),
    };
    let texts = |words: &mut dyn Iterator<Item = &str>| -> anyhow::Result<Vec<Vec<u32>>> {
        words.map(|word| Ok(session.tokens(&Prompt::Text(word.into()))?)).collect()
    };
    let plan = RobustnessPlan {
        layer: vector.layer,
        direction: &vector.direction,
        typical_norm: vector.typical_norm,
        strengths: &flags.strengths,
        contexts: &contexts,
        groups: &groups,
        endings: &endings,
        words: &texts(&mut flags.words.iter().map(String::as_str))?,
        look_alikes: &texts(&mut alike.iter().map(String::as_str))?,
        unrelated: &texts(&mut UNRELATED.into_iter())?,
        neutral: &session.neutral()?,
        most_cost: flags.most_cost,
        seeds: &control_seeds(flags.controls),
    };
    let found = robustness(&mut session.engine, &plan, &(), |_, _| {}).await?;
    if !flags.json {
        return output::text(&summary(&found, &alike));
    }
    output::json(&Report {
        layer: vector.layer,
        contexts: contexts.len(),
        look_alikes: &alike,
        found: &found,
        backend: loaded.backend(),
        adapter: loaded.adapter(),
    })
}

fn summary(found: &Robustness, alike: &[String]) -> String {
    let mut text = "strength   effect (nats)   right in               in all words   perplexity\n".to_string();
    for AtStrength { strength, effect, right, interval, right_in_all_words, perplexity } in &found.strengths {
        let shares = format!("{:.0} % [{:.0}, {:.0}]", 100.0 * right, 100.0 * interval.low, 100.0 * interval.high);
        let added = 100.0 * (perplexity / found.perplexity_plain - 1.0);
        let mark = if found.best.is_some_and(|best| best.strength == *strength) { "   best" } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{strength:>7}x {:>+15.2} {shares:>20} {:>15.0} % {added:>+10.0} %{mark}",
            effect.mean,
            100.0 * right_in_all_words
        );
    }
    for random in &found.random {
        let _ =
            writeln!(text, "a random direction: {:+.2} nats, right in {:.0} %", random.effect, 100.0 * random.right);
    }
    if let Some((low, high)) = found.window {
        let _ = writeln!(text, "It works from {low}x to {high}x.");
    }
    for friend in found.false_friends.iter().flatten() {
        let _ = writeln!(
            text,
            "False friend:{} lies {:.0} % as far along it as the words do",
            alike[friend.look_alike],
            100.0 * friend.score
        );
    }
    if !alike.is_empty() && found.false_friends.is_none() {
        text += "The words themselves do not lie along it, so that nothing is said of words that look like them.\n";
    }
    let reasons: Vec<&str> = found.fragile.iter().map(|why| reason(*why)).collect();
    text + &match reasons.is_empty() {
        true => "Robust.\n".to_string(),
        false => format!("Fragile: {}.\n", reasons.join("; ")),
    }
}

fn reason(why: Fragility) -> &'static str {
    match why {
        Fragility::NoEffect => "no strength has an effect that is surely above a fifth of a nat at this cost",
        Fragility::Contexts => "it fails in more than a fifth of the contexts",
        Fragility::Wording => "it depends on the wording in more than a fifth of the contexts",
        Fragility::Chance => "a random direction is right as often",
        Fragility::Window => "the strengths that work do not span a factor of two",
        Fragility::FalseFriends => "words that only look alike lie along it too",
    }
}
