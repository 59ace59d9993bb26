//! `tiller snmf`: an MLP's neurons in a few sparse combinations, without a dictionary.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::patching_flags::control_seeds;
use crate::{output, texts_file};
use anyhow::bail;
use clap::{Args, value_parser};
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;
use tiller_experiment::Session;
use tiller_interp::evidence::NEUTRAL_TEXT;
use tiller_interp::neurons::ValueVectors;
use tiller_interp::snmf::{
    ComponentContext, ComponentSteering, MlpComponents, SnmfOptions, SteeredComponent, mlp_components, steer_component,
};
use tiller_recipe::Prompt;

/// Tokens that are shown up to a context, with its own.
const SHOWN: usize = 12;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// The block whose MLP it is.
    #[arg(long, value_name = "N")]
    layer: u32,
    /// Texts, one on each line: {"text": ".."}, or {"turns": [{"role": "user", ..}]}.
    #[arg(long, value_name = "FILE.jsonl")]
    texts: PathBuf,
    /// Stop after about as many tokens.
    #[arg(long, value_name = "N", default_value_t = 4000)]
    tokens: usize,
    /// Cut texts after as many tokens.
    #[arg(long, value_name = "N", default_value_t = 128)]
    longest: usize,
    /// How many combinations.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = value_parser!(u16).range(1..=1000))]
    components: u16,
    /// The share of neurons that each keeps, in per cent.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    kept: f64,
    #[arg(long, value_name = "N", default_value_t = 200)]
    iterations: usize,
    /// Random starts, of which the best is kept.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u8).range(1..=20))]
    starts: u8,
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u32,
    /// Contexts of each that are shown.
    #[arg(long, value_name = "N", default_value_t = 5)]
    contexts: usize,
    /// Steer by these components (by their numbers in the list): what that does to the words that they write, beside
    /// random neurons that change the output as much.
    #[arg(long, value_name = "N,N,..", value_delimiter = ',')]
    steer: Vec<usize>,
    /// How much steering changes the output: mean divergence over a neutral text, nats.
    #[arg(long, value_name = "NATS", default_value_t = 0.5)]
    divergence: f64,
    /// Random components beside each.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u8).range(1..=64))]
    controls: u8,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    found: MlpComponents,
    /// By component that was asked for.
    steered: Vec<(usize, SteeredComponent)>,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    if !(flags.kept > 0.0 && flags.kept <= 100.0) {
        bail!("{} % of the neurons cannot be kept: give a share above 0 and up to 100", flags.kept);
    }
    let given = texts_file::read(&flags.texts)?;
    let mut loaded = flags.device.load(&flags.model).await?;
    let session = &mut loaded.session;
    let texts = texts_file::tokens(&given, session, flags.tokens, flags.longest)?;
    let options = SnmfOptions {
        components: flags.components.into(),
        kept: flags.kept / 100.0,
        iterations: flags.iterations,
        starts: flags.starts.into(),
        seed: flags.seed,
    };
    let engine = &mut session.engine;
    let found = mlp_components(engine, flags.layer, &texts, &options, flags.contexts, &(), |_, _| {}).await?;
    let mut steered = Vec::new();
    if !flags.steer.is_empty() {
        let values = ValueVectors::read(&mut session.engine, flags.layer, &(), |_, _| {}).await?;
        let neutral = session.tokens(&Prompt::Text(NEUTRAL_TEXT.into()))?;
        let seeds = control_seeds(flags.controls);
        let what = ComponentSteering { divergence: flags.divergence, neutral: &neutral, seeds: &seeds };
        for &n in &flags.steer {
            let Some(component) = found.components.get(n) else {
                bail!("there is no component {n}: name one of 0 to {}", found.components.len().saturating_sub(1));
            };
            let effect = steer_component(&mut session.engine, &values, component, &what, &(), |_, _| {}).await?;
            steered.push((n, effect));
        }
    }
    match flags.json {
        true => output::json(&Report { found, steered }),
        false => output::text(&table(&loaded.session, &texts, &found, &steered)),
    }
}

fn table(
    session: &Session,
    texts: &[Vec<u32>],
    found: &MlpComponents,
    steered: &[(usize, SteeredComponent)],
) -> String {
    let MlpComponents { layer, tokens, neurons, unexplained, iterations, components, .. } = found;
    let mut table = format!(
        "block {layer}: {neurons} neurons over {tokens} tokens, {:.1} % of their squares in {} components ({iterations} \
         iterations)\n",
        100.0 * (1.0 - unexplained),
        components.len()
    );
    // Writing to a string does not fail.
    for (n, component) in components.iter().enumerate() {
        let neurons = component.neurons.iter().take(5).map(|(neuron, weight)| format!("{neuron} {weight:+.2}"));
        let neurons = neurons.collect::<Vec<_>>().join(", ");
        let (share, active) = (100.0 * component.share, component.active);
        let _ = writeln!(table, "\ncomponent {n}: {share:.2} %, at {active} tokens; neurons {neurons} ..");
        for &ComponentContext { text, position, activity } in &component.contexts {
            let end = position as usize + 1;
            let spelt = texts[text][end.saturating_sub(SHOWN)..end].iter().map(|&t| session.tokenizer.token_text(t));
            let _ = writeln!(table, "  {activity:>7.2}  {:?}", spelt.collect::<String>());
        }
    }
    for (n, SteeredComponent { words, added, divergence, factor, perplexity, perplexity_plain, .. }) in steered {
        let words = words.iter().map(|&word| format!("{:?}", session.tokenizer.token_text(word)));
        let cost = |perplexity: f64| 100.0 * (perplexity / perplexity_plain - 1.0);
        let _ = writeln!(
            table,
            "\nsteered by {n}, {:.1} added, divergence {:.2}: {} x{:.2}, perplexity {:+.0} %",
            added.value,
            divergence.value,
            words.collect::<Vec<_>>().join(" "),
            factor.value,
            cost(perplexity.value)
        );
        for (i, factor) in factor.random.iter().enumerate() {
            let (added, divergence, cost) = (added.random[i], divergence.random[i], cost(perplexity.random[i]));
            let _ = writeln!(
                table,
                "  random neurons, {added:.1} added, divergence {divergence:.2}: x{factor:.2}, perplexity {cost:+.0} %"
            );
        }
    }
    table
}
