//! How an answer changes along directions of an activation.

use crate::InterpError;
use crate::patch::Metric;
use tiller_engine::{Controls, Edit, Engine, Logits, Site, TapRows, Variant, Variants};

/// The metric's derivative along each of `directions`, `[width]` each, at the prompt's last token: half the difference of
/// two passes, a step of `step` along the direction and one against it, over `step`.
///
/// `progress` is told the passes done and in all. Errors where the prompt is empty or too long, a direction does not fit
/// the site, an output is not finite, or the work was cancelled.
pub async fn derivatives(
    engine: &mut Engine,
    prompt: &[u32],
    site: Site,
    directions: &[&[f32]],
    step: f32,
    metric: Metric,
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<Vec<f64>, InterpError> {
    let both = |direction: &&[f32]| [step, -step].map(|step| Edit::add(site, *direction, step));
    let edits: Vec<Edit> = directions.iter().flat_map(both).collect();
    let last = prompt.len().saturating_sub(1) as u32..prompt.len() as u32;
    let runs: Vec<Variant> = (0..edits.len()).map(|n| Variant { edit: Some(n), positions: last.clone() }).collect();
    let tokens = metric.tokens();
    let logits = Logits::Of(&tokens);
    let what = Variants { tokens: prompt, edits: &edits, runs: &runs, rows: TapRows::Picks, logits };
    let mut values = vec![None; edits.len()];
    engine.run_variants(&what, controls, progress, |run, _, read| values[run] = metric.of(read)).await?;
    let of_pair = |pair: &[Option<f64>]| match pair {
        [Some(along), Some(against)] => Ok((along - against) / (2.0 * f64::from(step))),
        _ => Err(InterpError::Overdriven),
    };
    values.chunks_exact(2).map(of_pair).collect()
}
