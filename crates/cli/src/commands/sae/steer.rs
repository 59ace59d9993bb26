//! `tiller sae steer`: whether holding a labelled feature raises the words of its label.

mod tables;

use crate::described_features::{DescribedFeatures, DescribedLabel};
use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::output;
use crate::patching_flags::control_seeds;
use crate::sae_flags::SaeFlags;
use anyhow::{anyhow, bail};
use clap::{ArgGroup, Args, value_parser};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use tiller_experiment::Session;
use tiller_interp::evidence::WordSeeds;
use tiller_interp::sae::{FeatureTokens, SteeredFeature, SteeredPlan, steered_features};
use tiller_recipe::GRID_MOST_COST;

#[derive(Args)]
#[command(group(ArgGroup::new("which").required(true).args(["features", "labelled"])))]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    #[command(flatten)]
    sae: SaeFlags,
    /// What is known of the features, as `tiller sae describe` writes it [default: features.json in the SAE's folder].
    #[arg(long, value_name = "FILE.json")]
    described: Option<PathBuf>,
    /// The features, by number.
    #[arg(long, value_name = "N,N,..", value_delimiter = ',')]
    features: Vec<u32>,
    /// As many of those whose label names tokens: of each label the feature that it fits best (by F1), the best first.
    #[arg(long, value_name = "N")]
    labelled: Option<usize>,
    /// What a feature is held at, in shares of its largest value: one of these is chosen.
    #[arg(long, value_name = "N,N,..", value_delimiter = ',', default_values_t = [0.25, 0.5, 1.0, 2.0])]
    strengths: Vec<f32>,
    /// How much more perplexity the chosen strength may cost: 0.2 is a fifth more.
    #[arg(long, value_name = "SHARE", default_value_t = GRID_MOST_COST)]
    most_cost: f64,
    /// Controls of either kind: other features, and random directions.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u8).range(1..=30))]
    controls: u8,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Write a page of documentation too: the features that raise their words most on the prompts that choose, and how many
    /// of all stand out.
    #[arg(long, value_name = "FILE.md")]
    markdown: Option<PathBuf>,
}

/// A feature that was held.
#[derive(Serialize)]
struct Steered {
    label: DescribedLabel,
    /// Tokens that the label names.
    words: usize,
    #[serde(flatten)]
    found: SteeredFeature,
}

/// A feature that was asked for and has nothing to be judged by.
#[derive(Serialize)]
struct LeftOut {
    feature: u32,
    why: String,
}

#[derive(Serialize)]
struct Report {
    model: String,
    site: String,
    prompts: usize,
    controls: u8,
    most_cost: f64,
    strengths: Vec<f32>,
    features: Vec<Steered>,
    left_out: Vec<LeftOut>,
    notes: Vec<String>,
    backend: &'static str,
    adapter: String,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let described = DescribedFeatures::read(&flags.described.unwrap_or_else(|| flags.sae.beside("features.json")))?;
    let mut loaded = flags.device.load(&flags.model).await?;
    let opened = flags.sae.open(&loaded).await?;
    let session = &mut loaded.session;
    let (asked, labels, left_out) = match flags.labelled {
        Some(most) => best_labelled(&described, most, session),
        None => named(&described, &flags.features, session),
    };
    for LeftOut { feature, why } in &left_out {
        eprintln!("tiller: feature {feature} is left out: {why}");
    }
    if asked.is_empty() {
        bail!("no feature has a label that names tokens: name others, or describe the SAE's features first");
    }
    let seeds = control_seeds(flags.controls);
    let plan = SteeredPlan {
        prompts: &session.openings()?,
        strengths: &flags.strengths,
        neutral: &session.neutral()?,
        most_cost: flags.most_cost,
        seeds: WordSeeds { others: &seeds, random: &seeds },
    };
    let at = opened.place.dictionary(Arc::new(opened.sae));
    let mut found = Vec::with_capacity(asked.len());
    let sink = |of: SteeredFeature| found.push(of);
    steered_features(&mut session.engine, &at, &asked, &plan, &(), |_, _| {}, sink).await?;
    let prompts = plan.prompts.len();
    let features = found.into_iter().zip(labels).zip(&asked).map(|((found, label), of)| Steered {
        label,
        words: of.words.len(),
        found,
    });
    let report = Report {
        model: loaded.file.clone(),
        site: opened.place.site.to_string(),
        prompts,
        controls: flags.controls,
        most_cost: flags.most_cost,
        strengths: flags.strengths,
        features: features.collect(),
        left_out,
        notes: opened.place.notes,
        backend: loaded.backend(),
        adapter: loaded.adapter(),
    };
    if let Some(path) = &flags.markdown {
        let unwritten = |error| anyhow!("{} could not be written ({error}): choose another place", path.display());
        std::fs::write(path, tables::markdown(&report)).map_err(unwritten)?;
    }
    if flags.json { output::json(&report) } else { output::text(&tables::text(&report)) }
}

type Asked = (Vec<FeatureTokens>, Vec<DescribedLabel>, Vec<LeftOut>);

fn named(described: &DescribedFeatures, features: &[u32], session: &Session) -> Asked {
    let (mut asked, mut labels, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for &feature in features {
        match described.words(feature, session) {
            Ok((known, label, words)) => {
                asked.push(FeatureTokens { feature, largest: known.max, words });
                labels.push(label.clone());
            }
            Err(why) => left_out.push(LeftOut { feature, why }),
        }
    }
    (asked, labels, left_out)
}

/// Of each label the feature that it fits best (of equals the lower number), the best labels first.
fn best_labelled(described: &DescribedFeatures, most: usize, session: &Session) -> Asked {
    let labels = (0..).zip(&described.features).filter_map(|(n, of)| Some((n, of.label.as_ref()?)));
    let mut labels: Vec<(u32, &DescribedLabel)> = labels.collect();
    labels.sort_by(|a, b| b.1.f1.total_cmp(&a.1.f1));
    let mut texts = BTreeSet::new();
    labels.retain(|(_, label)| texts.insert(&label.text));
    let mut asked = (Vec::new(), Vec::new(), Vec::new());
    for (feature, _) in labels {
        if asked.0.len() == most {
            break;
        }
        let (one, label, left_out) = named(described, &[feature], session);
        asked.0.extend(one);
        asked.1.extend(label);
        asked.2.extend(left_out);
    }
    asked
}
