//! `tiller neurons`: what the neurons of an MLP write.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::output;
use crate::patching_flags::control_seeds;
use anyhow::bail;
use clap::{Args, value_parser};
use serde::Serialize;
use std::fmt::Write;
use tiller_experiment::Session;
use tiller_interp::evidence::NEUTRAL_TEXT;
use tiller_interp::neurons::{
    ActiveNeuron, Clamped, Clamping, NeuronWrites, ValueVectors, WordMatch, WrittenToken, clamp, most_active,
};
use tiller_recipe::Prompt;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    /// The block whose MLP is looked at, from 0.
    #[arg(long, value_name = "N")]
    layer: u32,
    /// The neurons to name [default: those that match --words best, or write most at the end of --text].
    #[arg(long, value_name = "N,N,..", value_delimiter = ',')]
    neurons: Vec<u32>,
    /// Words that are one token each, spelt with their space, as in " good, great": the neurons that write them.
    #[arg(long, value_name = "WORD,..", value_delimiter = ',')]
    words: Vec<String>,
    /// A text: the neurons that write most at its last token.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// How many neurons to name.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u16).range(1..=10_000))]
    count: u16,
    /// How many tokens of each.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = value_parser!(u8).range(1..=50))]
    top: u8,
    /// Hold the neurons that are named, and measure what that does to --words (or to what they raise most) in a neutral
    /// text, beside as many random neurons that write as much. With --words, a neuron that lowers them is held below 0.
    #[arg(long)]
    clamp: bool,
    /// How much the held neurons write together, in multiples of the residual stream's typical norm.
    #[arg(long, value_name = "X", default_value_t = 0.5, requires = "clamp")]
    strength: f32,
    /// Sets of random neurons.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u8).range(1..=64), requires = "clamp")]
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
    neurons: Vec<NeuronReport<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clamped: Option<&'a Clamped>,
    backend: &'static str,
    adapter: String,
}

#[derive(Serialize)]
struct NeuronReport<'a> {
    #[serde(flatten)]
    writes: &'a NeuronWrites,
    raises_texts: Vec<String>,
    lowers_texts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active: Option<&'a ActiveNeuron>,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    if !flags.strength.is_finite() {
        bail!("the strength {} is no number that neurons can be held at: give a finite one", flags.strength);
    }
    let mut loaded = flags.device.load(&flags.model).await?;
    let session = &mut loaded.session;
    let words = flags.words.iter().map(|word| session.one_token(word)).collect::<Result<Vec<u32>, _>>()?;
    let text = flags.text.map(|text| session.tokens(&Prompt::Text(text))).transpose()?;
    let values = ValueVectors::read(&mut session.engine, flags.layer, &(), |_, _| {}).await?;
    let (count, top) = (usize::from(flags.count), usize::from(flags.top));

    let active = match &text {
        Some(text) => {
            let all = values.len() as usize;
            Some(most_active(&mut session.engine, &values, text, all, &(), |_, _| {}).await?)
        }
        None => None,
    };
    let candidates: Vec<u32> = match (&flags.neurons[..], &active) {
        ([], Some(active)) if words.is_empty() => active.iter().take(count).map(|active| active.neuron).collect(),
        ([], _) if !words.is_empty() => (0..values.len()).collect(),
        ([], _) => bail!("there is nothing to look for: give --words, --text or --neurons"),
        (named, _) => named.to_vec(),
    };
    let mut found = values.written(&mut session.engine, &candidates, top, &words, &(), |_, _| {}).await?;
    if flags.neurons.is_empty() {
        // Of what is found by a text, the order is by how much is written there; it stays.
        found.sort_by(|a, b| fit(b.words.as_ref()).partial_cmp(&fit(a.words.as_ref())).expect("they are numbers"));
        found.truncate(count);
    }
    let clamped = match flags.clamp {
        true => {
            let sign = |found: &NeuronWrites| found.words.map_or(1.0, |words| words.z.signum());
            let neurons: Vec<(u32, f32)> = found.iter().map(|found| (found.neuron, sign(found))).collect();
            let neutral = session.tokens(&Prompt::Text(NEUTRAL_TEXT.into()))?;
            let seeds = control_seeds(flags.controls);
            let strength = flags.strength;
            let what = Clamping { neurons: &neurons, strength, words: &words, neutral: &neutral, seeds: &seeds };
            Some(clamp(&mut session.engine, &values, &what, &(), |_, _| {}).await?)
        }
        false => None,
    };
    let active_of = |neuron: u32| active.as_ref()?.iter().find(|active| active.neuron == neuron);
    if !flags.json {
        return output::text(&table(&loaded.session, &found, active_of, clamped.as_ref()));
    }
    let texts = |tokens: &[WrittenToken]| -> Vec<String> {
        tokens.iter().map(|written| loaded.session.tokenizer.token_text(written.token)).collect()
    };
    let neuron = |writes: &'_ NeuronWrites| (texts(&writes.raises), texts(&writes.lowers));
    let neurons = found.iter().map(|writes| {
        let (raises_texts, lowers_texts) = neuron(writes);
        NeuronReport { writes, raises_texts, lowers_texts, active: active_of(writes.neuron) }
    });
    output::json(&Report {
        layer: flags.layer,
        neurons: neurons.collect(),
        clamped: clamped.as_ref(),
        backend: loaded.backend(),
        adapter: loaded.adapter(),
    })
}

/// By how many words, then by how far.
fn fit(words: Option<&WordMatch>) -> (u32, f32) {
    words.map_or((0, 0.0), |words| (words.among, words.z.abs()))
}

fn table<'a>(
    session: &Session,
    found: &[NeuronWrites],
    active_of: impl Fn(u32) -> Option<&'a ActiveNeuron>,
    clamped: Option<&Clamped>,
) -> String {
    let shown = |token: u32| format!("{:?}", session.tokenizer.token_text(token));
    let listed = |tokens: &[WrittenToken]| tokens.iter().map(|t| shown(t.token)).collect::<Vec<_>>().join(" ");
    let mut table = String::new();
    // Writing to a string does not fail.
    for NeuronWrites { neuron, norm, raises, lowers, words } in found {
        let _ = write!(table, "neuron {neuron}, length {norm:.2}");
        if let Some(ActiveNeuron { activation, written, .. }) = active_of(*neuron) {
            let _ = write!(table, ", at {activation:+.2}, writing {written:.2}");
        }
        if let Some(WordMatch { among, z }) = words {
            let _ = write!(table, ", {among} of the words among its first 100, z {z:+.2}");
        }
        let _ = writeln!(table, "\n  raises {}\n  lowers {}", listed(raises), listed(lowers));
    }
    if let Some(Clamped { factor, perplexity, perplexity_plain, words, .. }) = clamped {
        let words = words.iter().map(|&token| shown(token)).collect::<Vec<_>>().join(" ");
        let cost = |perplexity: f64| 100.0 * (perplexity / perplexity_plain - 1.0);
        let _ = writeln!(table, "\nheld: {words} x{:.2}, perplexity {:+.0} %", factor.value, cost(perplexity.value));
        for (factor, perplexity) in factor.random.iter().zip(&perplexity.random) {
            let _ = writeln!(table, "  random neurons: x{factor:.2}, perplexity {:+.0} %", cost(*perplexity));
        }
    }
    table
}
