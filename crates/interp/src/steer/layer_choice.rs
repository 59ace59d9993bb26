//! Which layer to steer at, without trying them: where the two sides of the pairs look most different.
//!
//! It does not work on SmolLM2-135M: at the layer that either divergence picks (the first, on four of the page's five sets
//! of pairs) a vector of 0.15 times the stream's length has 11 to 46 % of the effect that it has where a sweep of all
//! layers puts it. A few numbers of the stream are so large from the second block on that a softmax over it sees nothing
//! else. What extraction suggests ([`super::Separability`]) has 117, 153, 80, 68 and 104 % on the same sets.

use super::contrast::{Contrast, TokenPair};
use crate::InterpError;
use crate::log_softmax::LogSoftmax;
use serde::Serialize;
use tiller_engine::{Controls, Engine, Site};

/// How far the two sides of the pairs are apart at one layer: mean Jensen-Shannon divergence over the pairs, in nats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LayerDivergence {
    pub layer: u32,
    /// Of the softmax over the residual stream's own numbers (Wang and Shu 2023, "Backdoor Activation Attack", section
    /// 3.2). Their code feeds probabilities where the divergence takes logarithms, and looks at the first half of the
    /// layers only; this is the divergence itself, at every layer that is asked for.
    pub hidden: f64,
    /// Of what the logit lens would have as the next token.
    pub lens: f64,
}

/// `½ KL(p ‖ m) + ½ KL(q ‖ m)` with `m = (p + q) / 2`: 0 where they are the same, ln 2 where they share nothing.
pub(super) fn jensen_shannon(p: &LogSoftmax, q: &LogSoftmax) -> f64 {
    let term = |(a, b): (f64, f64)| {
        // ln m, from the larger of the two so that nothing underflows.
        let (high, low) = if a > b { (a, b) } else { (b, a) };
        let middle = high + (low - high).exp().ln_1p() - std::f64::consts::LN_2;
        0.5 * (a.exp() * (a - middle) + b.exp() * (b - middle))
    };
    p.log_probs().zip(q.log_probs()).map(term).sum()
}

/// How far apart the sides are at each layer, read after its block at the texts' last tokens; by layer, ascending.
///
/// `progress` is told the tokens done and in all. Errors as [`Contrast::read`].
pub async fn layer_divergences(
    engine: &mut Engine,
    pairs: &[TokenPair],
    layers: &[u32],
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<Vec<LayerDivergence>, InterpError> {
    let contrasts = Contrast::read(engine, pairs, layers, controls, progress).await?;
    let mut found = Vec::with_capacity(contrasts.len());
    for contrast in &contrasts {
        let not_finite = InterpError::NotFinite { site: Site::ResidPost(contrast.layer) };
        let rows: Vec<&[f32]> = contrast.pairs().flat_map(|(positive, negative)| [positive, negative]).collect();
        let hidden: Option<Vec<LogSoftmax>> = rows.iter().map(|row| LogSoftmax::of(row)).collect();
        let Some(hidden) = hidden else { return Err(not_finite) };
        let (mut lens, mut positive) = (0.0, None);
        let sink = |_: usize, logits: &[f32]| {
            let distribution = LogSoftmax::of(logits);
            // Positive and negative texts come in turns.
            match positive.take() {
                None => positive = Some(distribution),
                Some(before) => {
                    lens += before
                        .zip(distribution)
                        .map_or(f64::NAN, |(p, q): (LogSoftmax, LogSoftmax)| jensen_shannon(&p, &q));
                }
            }
        };
        engine.unembed(&rows.concat(), controls, |_, _| {}, sink).await?;
        if !lens.is_finite() {
            return Err(not_finite);
        }
        let pairs = contrast.pairs().len() as f64;
        let hidden = hidden.as_chunks::<2>().0.iter().map(|[p, q]| jensen_shannon(p, q)).sum::<f64>();
        found.push(LayerDivergence { layer: contrast.layer, hidden: hidden / pairs, lens: lens / pairs });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_divergence_is_jensen_and_shannons() {
        let of = |p: &[f64]| LogSoftmax::of(&p.iter().map(|p| p.ln() as f32).collect::<Vec<f32>>()).unwrap();
        // scipy.spatial.distance.jensenshannon([0.5, 0.3, 0.2], [0.1, 0.1, 0.8]) ** 2.
        let found = jensen_shannon(&of(&[0.5, 0.3, 0.2]), &of(&[0.1, 0.1, 0.8]));
        assert!((found - 0.19531057720719835).abs() < 1e-6, "{found}");
        assert!(jensen_shannon(&of(&[0.5, 0.5]), &of(&[0.5, 0.5])).abs() < 1e-12);
        let apart = [LogSoftmax::of(&[0.0, -800.0]).unwrap(), LogSoftmax::of(&[-800.0, 0.0]).unwrap()];
        assert!((jensen_shannon(&apart[0], &apart[1]) - std::f64::consts::LN_2).abs() < 1e-12);
    }
}
