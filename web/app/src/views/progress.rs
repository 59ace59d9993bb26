//! Progress in words.

use crate::figures;
use tiller_protocol::{Progress, Stage};

/// How much is done, 0 to 1, where that is known.
pub fn share(progress: &Progress) -> Option<f64> {
    let total = progress.total.filter(|&total| total > 0)?;
    Some((progress.done as f64 / total as f64).min(1.0))
}

/// What is going on, how far it is, and for how long.
pub fn sentence(progress: &Progress, seconds: f64) -> String {
    let Progress { stage, done, total, rate } = *progress;
    let of_total = total.map(|total| format!(" of {}", figures::bytes(total))).unwrap_or_default();
    let amount = format!("{}{of_total}", figures::bytes(done));
    let since = figures::duration(seconds);
    match stage {
        Stage::Connecting => format!("Looking for the model, {since}"),
        Stage::Downloading => {
            let speed = rate.filter(|&rate| rate > 0.0);
            let speed_text = speed.map(|rate| format!(", {}/s", figures::bytes(rate as u64))).unwrap_or_default();
            let left = speed.zip(total).map(|(rate, total)| total.saturating_sub(done) as f64 / rate);
            let left_text = left.map(|left| format!(", {} left", figures::duration(left))).unwrap_or_default();
            format!("Downloading the model: {amount}{speed_text}{left_text}")
        }
        Stage::Resuming if done == 0 => "The hub does not answer; asking again".into(),
        Stage::Resuming => format!("The connection broke; going on at {}", figures::bytes(done)),
        Stage::Waiting { seconds } => {
            let until = figures::duration(f64::from(seconds));
            format!("The hub has too much to do, and asks to wait for {until}; going on then")
        }
        Stage::Elsewhere => format!("Another tab is downloading this model; waiting for it: {amount}"),
        Stage::Verifying => format!("Checking what is there already: {amount}"),
        Stage::Loading => format!("Loading the model: {amount}, {since}"),
        Stage::Compiling => format!("Compiling and warming up, {since}"),
        Stage::Comparing => format!("First use of this GPU: comparing its numbers with the CPU's, {since}"),
        Stage::Patching => match total {
            Some(total) => format!("Running: {done} of {total} runs"),
            None => "Running".into(),
        },
        Stage::Tuning => {
            format!("Training the lens, once for this model: {:.0} %", 100.0 * share(progress).unwrap_or(0.0))
        }
        Stage::Reading => match total {
            Some(total) => format!("Reading: {done} of {total} tokens"),
            None => "Reading".into(),
        },
    }
}
