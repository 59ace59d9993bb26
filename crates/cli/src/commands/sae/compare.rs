//! `tiller sae compare`: how far two autoencoders hold the same features.

use crate::output;
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tiller_formats::{DiskFolder, ReadOptions, SaeFile};
use tiller_interp::steer::random_direction;
use tiller_sae::{Comparison, Matched, SAME, Sae, compare};

#[derive(Args)]
pub struct Flags {
    /// An autoencoder's folder.
    #[arg(value_name = "A")]
    a: PathBuf,
    /// Another's, of the same activation.
    #[arg(value_name = "B")]
    b: PathBuf,
    /// Print one JSON object, with every feature's nearest.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    a: Side,
    b: Side,
    /// Pairs of which each is the other's nearest, with a cosine of at least 0.7.
    mutual: usize,
    /// Of as many random directions as b has features: what a finds nearest there.
    random: Share,
}

#[derive(Serialize)]
struct Side {
    features: usize,
    #[serde(flatten)]
    share: Share,
    /// By feature: the other's nearest, and the cosine.
    nearest: Vec<(u32, f32)>,
}

#[derive(Clone, Copy, Serialize)]
struct Share {
    /// The cosine with the nearest, mean over features.
    mean_cosine: f64,
    /// Features whose nearest is at a cosine of at least 0.7, as a share of all.
    matched: f64,
}

impl Share {
    fn of(matched: &[Matched]) -> Share {
        let n = matched.len() as f64;
        let mean = matched.iter().map(|matched| f64::from(matched.cosine)).sum::<f64>() / n;
        Share { mean_cosine: mean, matched: matched.iter().filter(|m| m.cosine >= SAME).count() as f64 / n }
    }
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let read = async |path: &Path| -> anyhow::Result<Sae> {
        Ok(SaeFile::read(&DiskFolder::new(path), &ReadOptions::default()).await?.sae)
    };
    let (a, b) = (read(&flags.a).await?, read(&flags.b).await?);
    let directions = (0..b.d_sae as u64).flat_map(|seed| random_direction(seed, b.d_out()));
    let random = Sae { w_dec: directions.collect(), ..b.clone() };
    let Some(found) = compare(&a, &b, |_| true)? else { return Ok(()) };
    let Some(by_chance) = compare(&a, &random, |_| true)? else { return Ok(()) };
    let side = |matched: &[Matched]| Side {
        features: matched.len(),
        share: Share::of(matched),
        nearest: matched.iter().map(|matched| (matched.feature, matched.cosine)).collect(),
    };
    let Comparison { first, second } = &found;
    let random = Share::of(&by_chance.first);
    let report = Report { a: side(first), b: side(second), mutual: found.mutual(), random };
    if flags.json {
        return output::json(&report);
    }
    let mut text = String::from("             features   nearest, mean cosine   at 0.7 or nearer\n");
    let rows = [("a, of b", report.a.features, report.a.share), ("b, of a", report.b.features, report.b.share)];
    for (name, features, share) in rows.into_iter().chain([("a, of random", report.a.features, random)]) {
        let (mean, matched) = (share.mean_cosine, 100.0 * share.matched);
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<12} {features:>8}   {mean:>20.3}   {matched:>14.1} %");
    }
    let _ = writeln!(text, "{} pairs are each other's nearest, at a cosine of at least {SAME}", report.mutual);
    output::text(&text)
}
