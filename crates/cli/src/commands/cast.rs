//! `tiller cast`: a vector that steers only where the prompt is about something.

use crate::loaded::{DeviceFlags, Loaded};
use crate::model_file::ModelSource;
use crate::patching_flags::{control_seeds, prompt};
use crate::{output, pairs_file, texts_file};
use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum, value_parser};
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tiller_engine::{Edit, Positions, Sampling, Site};
use tiller_interp::evidence::Estimate;
use tiller_interp::steer::{
    ConditionPlan, ConditionTest, ConditionalPlan, ConditionalReport, FoundCondition, GatedEffect, Gating,
    LayerDirection, TokenPair, VectorMethod, conditional_effect, extract, find_condition,
};
use tiller_recipe::{
    Condition, Direction, Features, Lens, Pair, Patching, Prompt, Recipe, Source, Test, VERSION, Vector, View,
};

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// Prompts for which to steer, one on each line, as in {"text": ".."} or {"turns": [..]}. Every other one finds the
    /// condition; what is reported is of the rest.
    #[arg(long, value_name = "FILE.jsonl")]
    matching: PathBuf,
    /// Prompts for which not to.
    #[arg(long, value_name = "FILE.jsonl")]
    other: PathBuf,
    /// Put texts among the prompts into the model's chat template, as a user's messages.
    #[arg(long)]
    chat: bool,
    /// What to steer to: a line for each pair, {"positive": "..", "negative": ".."}. Every other pair makes the vector; the
    /// rest are what could follow a prompt, by which the effect is measured.
    #[arg(long, value_name = "FILE.jsonl")]
    pairs: PathBuf,
    /// How the vector is made of the pairs: mean-diff, pca-diff, pca-center, lda or logistic.
    #[arg(long, value_name = "METHOD", default_value = "mean-diff")]
    method: VectorMethod,
    /// The block after which to steer, from 0 [default: the one that extraction suggests].
    #[arg(long, value_name = "N")]
    layer: Option<u32>,
    /// How strongly, in multiples of the residual stream's typical norm.
    #[arg(long, value_name = "X", default_value_t = 0.2, allow_negative_numbers = true)]
    strength: f32,
    /// The blocks at whose outputs to look for a condition, none beyond the one that steers [default: all up to it].
    #[arg(long, value_name = "0,1,..", value_delimiter = ',')]
    condition_layers: Option<Vec<u32>>,
    /// What is compared with the threshold: the cosine with tanh of the projection onto the condition vector, as CAST has
    /// it, or the cosine with the vector, which has a sign.
    #[arg(long, value_enum, default_value = "projection")]
    test: TestFlag,
    /// Random condition vectors beside it.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u8).range(1..=64))]
    controls: u8,
    /// Where to write the experiment, which `tiller run` and the page open.
    #[arg(long, value_name = "RECIPE.json")]
    recipe: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TestFlag {
    Projection,
    Cosine,
}

#[derive(Serialize)]
struct Report<'a> {
    condition: &'a FoundCondition,
    layer: u32,
    strength: f32,
    method: &'static str,
    effect: &'a ConditionalReport,
    backend: &'static str,
    adapter: String,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    if !flags.strength.is_finite() {
        bail!("the strength {} is no number that a vector can be multiplied by: give a finite one", flags.strength);
    }
    // Said before anything is computed.
    let model = flags.recipe.as_ref().map(|_| flags.model.reference()).transpose()?;
    let pairs = pairs_file::read(&flags.pairs)?;
    if pairs.len() < 2 {
        bail!("{} holds one pair, and two are needed: one makes the vector, one is measured by", flags.pairs.display());
    }
    let [matching, other] = [&flags.matching, &flags.other].map(|path| prompts(path, flags.chat));
    let (matching, other) = (matching?, other?);
    let mut loaded = flags.device.load(&flags.model).await?;
    let session = &mut loaded.session;
    let tokens = |prompts: &[Prompt]| -> anyhow::Result<Vec<Vec<u32>>> {
        prompts.iter().map(|prompt| Ok(session.tokens(prompt)?)).collect()
    };
    let (matching_tokens, other_tokens) = (tokens(&matching)?, tokens(&other)?);
    let half = |odd: usize| -> Vec<Pair> { pairs.iter().skip(odd).step_by(2).cloned().collect() };
    let (making, judging) = (half(0), half(1));
    let ending = |text: &str| session.tokenizer.encode(text, false, false);
    let endings = judging
        .iter()
        .map(|pair| anyhow::Ok(TokenPair { positive: ending(&pair.positive)?, negative: ending(&pair.negative)? }));
    let endings: Vec<TokenPair> = endings.collect::<anyhow::Result<_>>()?;
    let making_tokens = pairs_file::tokens(&making, session)?;
    let neutral = session.neutral()?;

    let blocks = session.engine.config().layers;
    let layers: Vec<u32> = flags.layer.map_or_else(|| (0..blocks).collect(), |layer| vec![layer]);
    let made = extract(&mut session.engine, flags.method, &making_tokens, &layers, &(), |_, _| {}).await?;
    let layer = flags.layer.or(made.suggested).unwrap_or(blocks / 2);
    let at = made.layers.iter().find(|at| at.layer == layer);
    let Some((at, unit)) = at.and_then(|at| Some((at, Direction::along(&at.direction)?))) else {
        bail!("the pairs hold no direction at layer {layer}: write other pairs, or name another layer")
    };

    let seeds = control_seeds(flags.controls);
    let condition_layers = flags.condition_layers.clone().unwrap_or_else(|| (0..=layer).collect());
    if let Some(beyond) = condition_layers.iter().find(|&&condition| condition > layer) {
        bail!("a condition at layer {beyond} comes too late for a vector at layer {layer}: name layers up to {layer}");
    }
    let plan = ConditionPlan {
        matching: &matching_tokens,
        other: &other_tokens,
        layers: &condition_layers,
        test: match flags.test {
            TestFlag::Projection => ConditionTest::CosineToProjection,
            TestFlag::Cosine => ConditionTest::Cosine,
        },
        seeds: &seeds,
    };
    let mut condition = find_condition(&mut session.engine, &plan, &(), |_, _| {}).await?;
    // What a recipe holds is what is measured.
    let rounded = Direction::along(&condition.vector).map(|direction| direction.to_f32());
    condition.vector = rounded.unwrap_or(condition.vector);
    let edit = Edit::add(Site::ResidPost(layer), unit.to_f32(), flags.strength * at.typical_norm);
    let unseen = |prompts: &[Vec<u32>]| -> Vec<Vec<u32>> { prompts.iter().skip(1).step_by(2).cloned().collect() };
    let plan = ConditionalPlan {
        condition: &condition,
        edit: &edit,
        matching: &unseen(&matching_tokens),
        other: &unseen(&other_tokens),
        endings: &endings,
        neutral: &neutral,
    };
    let effect = conditional_effect(&mut session.engine, &plan, &(), |_, _| {}).await?;

    if let (Some(path), Some(model)) = (&flags.recipe, model) {
        let recipe = Recipe {
            model,
            prompt: matching[1].clone(),
            pairs: making,
            vectors: vectors(at, unit, &condition, &flags)?,
            edits: vec![conditional_edit(layer, &condition, flags.strength)],
            backend: Some(loaded.backend().into()),
            tiller: VERSION,
            view: View::Steer,
            sampling: Sampling::default(),
            max_tokens: 48,
            feature_edits: Vec::new(),
            lens: Lens::default(),
            shelf: Vec::new(),
            patch: Patching::default(),
            probe: None,
            features: Features::default(),
        };
        let not_written = |error| anyhow!("{} could not be written ({error}): choose another place", path.display());
        std::fs::write(path, recipe.to_json()?).map_err(not_written)?;
    }
    if !flags.json {
        return output::text(&summary(&condition, layer, flags.strength, &effect));
    }
    output::json(&report(&condition, layer, &flags, &effect, &loaded))
}

fn report<'a>(
    condition: &'a FoundCondition,
    layer: u32,
    flags: &Flags,
    effect: &'a ConditionalReport,
    loaded: &Loaded,
) -> Report<'a> {
    Report {
        condition,
        layer,
        strength: flags.strength,
        method: flags.method.name(),
        effect,
        backend: loaded.backend(),
        adapter: loaded.adapter(),
    }
}

fn prompts(path: &Path, chat: bool) -> anyhow::Result<Vec<Prompt>> {
    let given = texts_file::read(path)?.into_iter().map(|text| match text.prompt {
        Prompt::Text(text) => prompt(text, chat),
        turns => turns,
    });
    Ok(given.collect())
}

/// Of a path, what it is called.
fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().chars().take(80).collect()).unwrap_or_default()
}

/// The vector that steers, and the condition's.
fn vectors(
    at: &LayerDirection,
    unit: Direction,
    condition: &FoundCondition,
    flags: &Flags,
) -> anyhow::Result<Vec<Vector>> {
    let Some(direction) = Direction::along(&condition.vector) else {
        bail!("the condition has no direction: give other prompts")
    };
    let steers = Vector {
        name: stem(&flags.pairs),
        method: flags.method.name().into(),
        layer: at.layer,
        direction: unit,
        norm: at.norm,
        typical_norm: at.typical_norm,
    };
    let decides = Vector {
        name: stem(&flags.matching),
        method: "condition-pca".into(),
        layer: condition.layer,
        direction,
        norm: 1.0,
        typical_norm: condition.typical_norm,
    };
    Ok(vec![steers, decides])
}

fn conditional_edit(layer: u32, condition: &FoundCondition, strength: f32) -> tiller_recipe::Edit {
    let condition = Condition::Activation {
        site: Site::ResidPost(condition.layer),
        test: match condition.test {
            ConditionTest::CosineToProjection => Test::CosineToProjection,
            ConditionTest::Cosine => Test::Cosine,
        },
        vector: 1,
        above: condition.above,
        threshold: condition.threshold,
        positions: Positions::Last,
        latched: true,
    };
    let edit = tiller_recipe::Edit::add(Source::Vector(0), Site::ResidPost(layer), strength);
    tiller_recipe::Edit { condition: Some(condition), ..edit }
}

fn summary(condition: &FoundCondition, layer: u32, strength: f32, effect: &ConditionalReport) -> String {
    let side = if condition.above { "above" } else { "below" };
    let compared = match condition.test {
        ConditionTest::CosineToProjection => "the cosine with tanh of the projection",
        ConditionTest::Cosine => "the cosine",
    };
    let share = |gating: &Gating| {
        let of = |share: f64, interval: tiller_interp::probe::Interval| {
            format!("{:3.0} % [{:.0}, {:.0}]", 100.0 * share, 100.0 * interval.low, 100.0 * interval.high)
        };
        let matching = of(gating.matching, gating.matching_interval);
        format!(
            "{matching} of matching, {} of other prompts, F1 {:.2}",
            of(gating.other, gating.other_interval),
            gating.f1
        )
    };
    // Writing to a string does not fail.
    let mut text = format!(
        "The condition: at the prompt's last token after block {}, {compared} is {side} {:.4}\n",
        condition.layer, condition.threshold
    );
    let _ = writeln!(text, "  on prompts that chose it   {}", share(&condition.chosen_by));
    let _ = writeln!(text, "  on unseen prompts          {}", share(&condition.reported));
    for random in &condition.random {
        let _ = writeln!(text, "  a random vector's          {}", share(&random.reported));
    }
    let _ =
        writeln!(text, "\nThe vector after block {layer} at {strength}x adds to what it is to make likelier, in nats");
    let nats = |estimate: &Estimate| match estimate.interval {
        Some((low, high)) => format!("{:+.2} [{low:+.2}, {high:+.2}]", estimate.mean),
        None => format!("{:+.2}", estimate.mean),
    };
    let mut line = |name: &str, found: &GatedEffect| {
        let _ = writeln!(
            text,
            "  {name:26} {} after matching, {} after other prompts",
            nats(&found.matching),
            nats(&found.other)
        );
    };
    line("under the condition", &effect.gated);
    line("always", &effect.ungated);
    for random in &effect.random {
        line("under a random condition", random);
    }
    let ConditionalReport { perplexity_plain, perplexity_gated, perplexity_ungated, .. } = effect;
    let _ = writeln!(
        text,
        "Perplexity of a neutral text: {perplexity_plain:.2} plain, {perplexity_gated:.2} under the condition, \
         {perplexity_ungated:.2} always."
    );
    text
}
