//! `tiller sae rows`: the texts of a file that are most like some examples, by their features.

use crate::loaded::DeviceFlags;
use crate::model_file::ModelSource;
use crate::output;
use crate::sae_flags::SaeFlags;
use crate::texts_file;
use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use tiller_interp::sae::{ReadTexts, SimilarRowsOptions, similar_rows};

/// Characters of a text that are shown.
const SHOWN: usize = 90;

#[derive(Args)]
pub struct Flags {
    /// A GGUF file, a folder with config.json and safetensors, or owner/name[@revision][/file.gguf] on the hub.
    #[arg(long, value_name = "FILE|FOLDER|REPO")]
    model: ModelSource,
    #[command(flatten)]
    sae: SaeFlags,
    /// The texts to look among, one on each line: {"text": ".."}, or {"turns": [{"role": "user", ..}]}.
    #[arg(long, value_name = "FILE.jsonl")]
    texts: PathBuf,
    /// The examples, likewise.
    #[arg(long, value_name = "FILE.jsonl", required_unless_present = "by_source")]
    like: Option<PathBuf>,
    /// Measure instead: of each source that the texts name ({"text": "..", "source": ".."}), this many texts are the
    /// examples, and it is counted how many of the first 50 others are of it.
    #[arg(long, value_name = "N", conflicts_with = "like")]
    by_source: Option<usize>,
    /// Look among so many texts of each source at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    each: usize,
    /// Features that are kept of a text.
    #[arg(long, value_name = "N", default_value_t = 64)]
    kept: usize,
    /// Cut texts after as many tokens.
    #[arg(long, value_name = "N", default_value_t = 128)]
    longest: usize,
    /// Texts to name.
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Shared features that are named of each text, and taken away to see whether it falls.
const SHARED: usize = 5;
/// Texts that are counted.
const FIRST: usize = 50;

/// How many of the first texts are of the examples' source.
#[derive(Serialize)]
struct Precision {
    source: String,
    rows: usize,
    by_features: f64,
    by_activation: f64,
    by_words: f64,
    /// How far a text among the first falls, in places, without the features it shares most with the examples, and without as
    /// many others; medians.
    falls: usize,
    falls_without_others: usize,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let given = texts_file::read(&flags.texts)?;
    let like = flags.like.as_deref().map(texts_file::read).transpose()?;
    let mut loaded = flags.device.load(&flags.model).await?;
    let opened = flags.sae.open(&loaded).await?;
    let placed = opened.place.of(&opened.sae);
    let session = &mut loaded.session;
    let mut counts: BTreeMap<Option<String>, usize> = BTreeMap::new();
    let mut chosen = Vec::new();
    for text in given {
        let count = counts.entry(text.source.clone()).or_default();
        *count += 1;
        if flags.by_source.is_none() || *count <= flags.each {
            chosen.push(text);
        }
    }
    let tokens = texts_file::tokens(&chosen, session, usize::MAX, flags.longest)?;
    let options = SimilarRowsOptions { kept: flags.kept, shared: SHARED, top: flags.top, seed: 1 };
    if let Some(like) = like {
        let examples = texts_file::tokens(&like, session, usize::MAX, flags.longest)?;
        let found = similar_rows(&mut session.engine, &placed, &examples, &tokens, &options, &(), |_, _| {}).await?;
        if flags.json {
            return output::json(&found);
        }
        let mut table =
            String::from("likeness   place without what is shared, without others   features, share   text\n");
        for row in &found.rows {
            let shared = row.shared.iter().map(|(feature, share)| format!("{feature} {:.0} %", 100.0 * share));
            let spelt = tokens[row.row].iter().map(|&token| session.tokenizer.token_text(token)).collect::<String>();
            let spelt = spelt.chars().take(SHOWN).collect::<String>();
            // Writing to a string does not fail.
            let _ = writeln!(
                table,
                "{:>8.3}   {:>5} {:>5}   {}   {spelt:?}",
                row.similarity,
                row.rank_without,
                row.rank_without_others,
                shared.collect::<Vec<_>>().join(", ")
            );
        }
        return output::text(&table);
    }

    let examples = flags.by_source.context("give examples with --like, or --by-source")?;
    let sources: Vec<String> = counts.into_keys().flatten().collect();
    if sources.len() < 2 || examples == 0 {
        bail!(
            "the texts name fewer than two sources, or there are to be no examples: name sources, and at least one example"
        );
    }
    let options = SimilarRowsOptions { top: FIRST, ..options };
    let read = ReadTexts::read(&mut session.engine, &placed, &tokens, &(), |_, _| {}).await?;
    let mut found = Vec::new();
    for source in sources {
        let is_own = |n: usize| chosen[n].source.as_deref() == Some(source.as_str());
        let of_source: Vec<usize> = (0..chosen.len()).filter(|&n| is_own(n)).take(examples).collect();
        let rows: Vec<usize> = (0..chosen.len()).filter(|n| !of_source.contains(n)).collect();
        let ranked = read.ranked(&of_source, &rows, &options);
        let precision = |order: &mut dyn Iterator<Item = usize>| {
            order.take(FIRST).filter(|&row| is_own(rows[row])).count() as f64 / FIRST as f64
        };
        let median = |falls: &dyn Fn(usize) -> usize| {
            let mut falls: Vec<usize> = (0..ranked.rows.len()).map(falls).collect();
            falls.sort_unstable();
            falls.get(falls.len() / 2).copied().unwrap_or(0)
        };
        found.push(Precision {
            rows: rows.iter().filter(|&&n| is_own(n)).count(),
            source: source.clone(),
            by_features: precision(&mut ranked.rows.iter().map(|row| row.row)),
            by_activation: precision(&mut ranked.by_activation.iter().copied()),
            by_words: precision(&mut ranked.by_words.iter().copied()),
            falls: median(&|n| ranked.rows[n].rank_without.saturating_sub(n)),
            falls_without_others: median(&|n| ranked.rows[n].rank_without_others.saturating_sub(n)),
        });
    }
    if flags.json {
        return output::json(&found);
    }
    let mut table = String::from(
        "source                rows   by features   by activation   by words   falls without shared, without others\n",
    );
    let mean = |of: fn(&Precision) -> f64| 100.0 * found.iter().map(of).sum::<f64>() / found.len() as f64;
    for Precision { source, rows, by_features, by_activation, by_words, falls, falls_without_others } in &found {
        let _ = writeln!(
            table,
            "{source:<20} {rows:>5}   {:>9.0} %   {:>11.0} %   {:>6.0} %   {falls:>20} {falls_without_others:>6}",
            100.0 * by_features,
            100.0 * by_activation,
            100.0 * by_words
        );
    }
    let means = [mean(|p| p.by_features), mean(|p| p.by_activation), mean(|p| p.by_words)];
    let [features, activation, words] = means;
    let _ = writeln!(table, "{:<26}   {features:>9.1} %   {activation:>11.1} %   {words:>6.1} %", "mean");
    output::text(&table)
}
