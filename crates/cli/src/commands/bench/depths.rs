//! How long a token takes to write at several depths of a text, beside the bytes that it has to read there.
//!
//! A token reads all weights, and the keys and values of the tokens before it: where reading is what takes the time,
//! time grows with the bytes, and the larger share of them are weights until a text is long.

use super::median;
use anyhow::ensure;
use serde::Serialize;
use std::time::Instant;
use tiller_engine::{Engine, Generation, Lane, Sampling, Written};

/// Tokens that are timed at a depth; half of them lie before it.
const TIMED: u32 = 16;

/// The least depth that has so many tokens before it.
pub const LEAST: i64 = TIMED as i64;

/// A median over the tokens about a depth.
#[derive(Serialize)]
pub struct AtDepth {
    /// Tokens before the one that is written.
    depth: u32,
    /// Bytes of keys and values that its pass reads.
    kv_bytes: u64,
    /// Bytes of weights that its pass reads.
    weight_bytes: u64,
    ms_per_token: f64,
    /// Over the time at the first of the depths.
    ratio_to_first: f64,
}

/// Refuses depths that the context has no room for.
pub fn check(engine: &Engine, depths: &[u32]) -> anyhow::Result<()> {
    let room = engine.kv_rows().min(engine.config().context);
    let deepest = depths.iter().copied().max().unwrap_or(0).saturating_add(TIMED / 2);
    ensure!(
        deepest <= room,
        "the depths take {deepest} tokens of context, and there is room for {room}: give a larger --context or smaller \
         --depths"
    );
    Ok(())
}

/// Writes at each of `depths`, after a prompt of `text` over and over.
pub async fn measure(engine: &mut Engine, text: &[u32], depths: &[u32]) -> anyhow::Result<Vec<AtDepth>> {
    let mut found: Vec<AtDepth> = Vec::new();
    for &depth in depths {
        let prompt: Vec<u32> = text.iter().copied().cycle().take((depth - TIMED / 2) as usize).collect();
        let ms_per_token = time_a_token(engine, prompt).await?;
        found.push(AtDepth {
            depth,
            kv_bytes: engine.kv_bytes_read(depth),
            weight_bytes: engine.weight_bytes_read().unwrap_or(0),
            ms_per_token,
            ratio_to_first: ms_per_token / found.first().map_or(ms_per_token, |first| first.ms_per_token),
        });
    }
    Ok(found)
}

/// The median time between one token after the prompt and the next, in ms.
async fn time_a_token(engine: &mut Engine, prompt: Vec<u32>) -> anyhow::Result<f64> {
    let what = Generation {
        lanes: vec![Lane { prompt, edits: Vec::new() }],
        edits: Vec::new(),
        sampling: Sampling::GREEDY,
        max_tokens: TIMED + 1,
        // It must not end before its time.
        end_tokens: Vec::new(),
        alternatives: false,
        features: None,
    };
    let begun = Instant::now();
    let clock = || begun.elapsed().as_secs_f64();
    let mut times = Vec::new();
    engine.generate(&what, &(), clock, |_: Written| times.push(clock())).await?;
    Ok(median(times.windows(2).map(|pair| (pair[1] - pair[0]) * 1e3).collect()))
}

/// The figures for people.
pub fn table(found: &[AtDepth]) -> String {
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let mut text =
        format!("\n{:>6} {:>9} {:>12} {:>11} {:>9}\n", "depth", "KV MiB", "weights MiB", "ms a token", "ratio");
    for AtDepth { depth, kv_bytes, weight_bytes, ms_per_token, ratio_to_first } in found {
        let (kv, weights) = (mebibytes(*kv_bytes), mebibytes(*weight_bytes));
        text += &format!("{depth:6} {kv:9.1} {weights:12.1} {ms_per_token:11.2} {ratio_to_first:9.2}\n");
    }
    text
}
