//! `tiller sae cost`: what it costs to read features while the model writes.
//!
//! Writing with and without reading takes short turns in one run, as in `tiller bench`, so that whatever else the machine
//! does falls on all alike. Each way is compared with the plain turn of its own round.

use crate::commands::bench::{median, rate, time};
use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::output;
use crate::sae_flags::SaeFlags;
use clap::Args;
use serde::Serialize;
use std::sync::Arc;
use tiller_engine::{
    DECODE_ROWS, Dictionary, EncoderWeights, Engine, FeatureHarvest, FeatureReading, Generation, MOST_STRONGEST,
    Sampling,
};
use tiller_interp::steer::random_direction;
use tiller_sae::{Activation, Normalisation, Sae};

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    #[command(flatten)]
    sae: SaeFlags,
    /// Also measure an autoencoder of random weights, and of the same kind, with so many features; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 16_384)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1 << 18))]
    random_features: u32,
    /// Rounds, in each of which every way writes 16 tokens.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Features that come back with each token.
    #[arg(long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_STRONGEST)))]
    strongest: u32,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Tokens that a way writes in a round.
const TURN: u32 = 16;

/// Counts are of one token; those of the GPU's work are 0 on the CPU backend.
#[derive(Serialize)]
struct Report {
    model: String,
    site: String,
    backend: &'static str,
    adapter: String,
    rounds: u32,
    plain: Counts,
    ways: Vec<Way>,
}

#[derive(Serialize)]
struct Counts {
    tokens_per_s: f64,
    dispatches: u64,
    readback_bytes: u64,
    /// Bytes of weights that a token's pass reads.
    bytes_moved: u64,
}

#[derive(Serialize)]
struct Way {
    features: usize,
    random: bool,
    /// The format of the encoder's rows.
    weights: &'static str,
    /// How much longer a token takes than in the plain turn beside it: the median over rounds.
    added_percent: f64,
    /// The quartiles of the same.
    quartiles: [f64; 2],
    counts: Counts,
    /// How far the strongest features of the neutral text's tokens are from those of f32 weights, of their length: the
    /// mean, and the largest after the first token.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<[f64; 2]>,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let mut loaded = flags.device.load(&flags.model).await?;
    let opened = flags.sae.open(&loaded).await?;
    let (site, centred) = (opened.place.site, opened.place.centred);
    let own = Arc::new(opened.sae);
    let mut saes = vec![(own.clone(), false)];
    if flags.random_features > 0 {
        saes.push((Arc::new(random_sae(&own, flags.random_features as usize)), true));
    }
    let text = loaded.session.neutral()?;
    let reading = |sae: &Arc<Sae>, weights| FeatureReading {
        site,
        sae: Dictionary { sae: sae.clone(), centred, weights },
        most: flags.strongest,
    };
    let generation = |features| Generation {
        end_tokens: Vec::new(),
        features,
        ..loaded.session.generation(text[..1].to_vec(), Vec::new(), &[true], Sampling::GREEDY, TURN)
    };
    let plain = generation(None);
    let both = [EncoderWeights::F32, EncoderWeights::EightBit];
    let kinds: Vec<_> = saes.iter().flat_map(|sae| both.map(|weights| (sae, weights))).collect();
    let ways: Vec<Generation> =
        kinds.iter().map(|((sae, _), weights)| generation(Some(reading(sae, *weights)))).collect();

    let engine = &mut loaded.session.engine;
    // What is done for the first time is done before the clock runs.
    let mut counted = Vec::new();
    for what in std::iter::once(&plain).chain(&ways) {
        time(engine, what).await?;
        counted.push(engine.step_cost(DECODE_ROWS));
    }
    let (mut plain_rates, mut rates) = (Vec::new(), vec![Vec::new(); ways.len()]);
    let mut added = vec![Vec::new(); ways.len()];
    for round in 0..flags.rounds as usize {
        // Who goes first changes from round to round.
        let order = (0..=ways.len()).map(|n| (n + round) % (ways.len() + 1));
        let mut of_round = vec![0.0; ways.len() + 1];
        for n in order {
            let what = if n == 0 { &plain } else { &ways[n - 1] };
            of_round[n] = rate(&time(engine, what).await?);
        }
        plain_rates.push(of_round[0]);
        for (n, &found) in of_round[1..].iter().enumerate() {
            rates[n].push(found);
            added[n].push(100.0 * (of_round[0] / found - 1.0));
        }
    }
    let matrices = engine.weight_bytes_read().unwrap_or(0);
    let counts = |n: usize, tokens_per_s: f64, encoder: u64| Counts {
        tokens_per_s,
        dispatches: counted[n].map_or(0, |cost| cost.dispatches as u64),
        readback_bytes: counted[n].map_or(0, |cost| cost.readback_bytes),
        bytes_moved: counted[n].map_or(matrices + encoder, |cost| cost.weight_bytes),
    };
    let mut found = Vec::new();
    for (n, ((sae, random), weights)) in kinds.iter().enumerate() {
        let error = match weights {
            EncoderWeights::F32 => None,
            EncoderWeights::EightBit => {
                let [exact, rounded] = both.map(|weights| reading(sae, weights));
                Some(distance(engine, &text, &exact, &rounded).await?)
            }
        };
        let (name, bits) = match weights {
            EncoderWeights::EightBit if sae.d_in % 32 == 0 => ("q8_0", 8.5),
            _ => ("f32", 32.0),
        };
        found.push(Way {
            features: sae.d_sae,
            random: *random,
            weights: name,
            added_percent: median(added[n].clone()),
            quartiles: quartiles(added[n].clone()),
            counts: counts(n + 1, median(rates[n].clone()), (sae.w_enc.len() as f64 * bits / 8.0) as u64),
            error,
        });
    }
    let report = Report {
        model: loaded.file.clone(),
        site: site.to_string(),
        backend: loaded.backend(),
        adapter: loaded.adapter(),
        rounds: flags.rounds,
        plain: counts(0, median(plain_rates), 0),
        ways: found,
    };
    if flags.json { output::json(&report) } else { output::text(&table(&report)) }
}

/// An SAE of the same kind with random weights. Where features have numbers of their own, they are as of ReLU.
fn random_sae(like: &Sae, features: usize) -> Sae {
    let directions =
        |seed: u64| (0..features as u64).flat_map(|n| random_direction(seed << 32 | n, like.d_in)).collect();
    let activation = match &like.activation {
        Activation::TopK { k } => Activation::TopK { k: (*k).min(features) },
        _ => Activation::Relu,
    };
    Sae {
        d_in: like.d_in,
        d_sae: features,
        w_enc: directions(1),
        b_enc: vec![0.0; features],
        w_dec: directions(2),
        b_dec: vec![0.0; like.d_in],
        apply_b_dec_to_input: like.apply_b_dec_to_input,
        activation,
        normalisation: Normalisation::None,
        transcoder: None,
    }
}

/// The mean and, after the first token, the largest distance of two readings of a text.
async fn distance(
    engine: &mut Engine,
    text: &[u32],
    exact: &FeatureReading,
    rounded: &FeatureReading,
) -> anyhow::Result<[f64; 2]> {
    let prompts = [text.to_vec()];
    let mut read = [Vec::new(), Vec::new()];
    for (read, reading) in read.iter_mut().zip([exact, rounded]) {
        let what = FeatureHarvest { prompts: &prompts, reading, edits: &[] };
        engine.harvest_features(&what, &(), |_, _| {}, |found| read.push(found.features)).await?;
    }
    let square = |value: f32| f64::from(value).powi(2);
    let distances: Vec<f64> = read[0]
        .iter()
        .zip(&read[1])
        .map(|(exact, rounded)| {
            let value = |of: &[(u32, f32)], feature| of.iter().find(|(i, _)| *i == feature).map_or(0.0, |(_, v)| *v);
            let off: f64 = exact.iter().map(|&(i, v)| square(v - value(rounded, i))).sum();
            (off / exact.iter().map(|(_, v)| square(*v)).sum::<f64>().max(1e-12)).sqrt()
        })
        .collect();
    let mean = distances.iter().sum::<f64>() / distances.len() as f64;
    Ok([mean, distances.iter().skip(1).copied().fold(0.0, f64::max)])
}

fn quartiles(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    [at(0.25), at(0.75)]
}

/// The report for people.
fn table(report: &Report) -> String {
    let Report { model, site, backend, adapter, rounds, plain, ways } = report;
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let mut text = format!(
        "{model} at {site}, {backend} ({adapter}), {rounds} rounds\n\n{:26} {:>8} {:>22} {:>11} {:>10} {:>9}  error\n",
        "", "tokens/s", "added % [quartiles]", "dispatches", "MiB read", "bytes back"
    );
    let Counts { tokens_per_s, dispatches, readback_bytes, bytes_moved } = plain;
    text += &format!(
        "{:26} {tokens_per_s:8.1} {:22} {dispatches:11} {:10.1} {readback_bytes:9}\n",
        "plain",
        "",
        mebibytes(*bytes_moved)
    );
    for way in ways {
        let Counts { tokens_per_s, dispatches, readback_bytes, bytes_moved } = &way.counts;
        let name = format!("{}{} features, {}", way.features, if way.random { " random" } else { "" }, way.weights);
        let added = format!("{:+.1} [{:+.1}, {:+.1}]", way.added_percent, way.quartiles[0], way.quartiles[1]);
        let error = way.error.map_or(String::new(), |[mean, largest]| format!("{mean:.4}, at most {largest:.4}"));
        text += &format!(
            "{name:26} {tokens_per_s:8.1} {added:>22} {dispatches:11} {:10.1} {readback_bytes:9}  {error}\n",
            mebibytes(*bytes_moved)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_a_quarter_from_each_end() {
        assert_eq!(quartiles(vec![5.0, 1.0, 3.0, 2.0, 4.0]), [2.0, 4.0]);
        assert_eq!(quartiles(vec![1.0]), [1.0, 1.0]);
    }
}
