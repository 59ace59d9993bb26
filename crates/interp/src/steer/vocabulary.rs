//! A direction from the vocabulary: towards one token and away from another, without any texts.

use super::LayerDirection;
use crate::InterpError;
use crate::toward::Toward;
use crate::typical_norm::typical_norms;
use tiller_engine::{Controls, Engine};

/// The direction `gain * (W_U[toward] - W_U[away])` at each of `layers`: the same everywhere, of the length that it has.
///
/// The final norm's gain is folded in, because the logits read the residual stream through it: with the stream's scale
/// given, this is the direction along which the logit difference rises fastest after the last block, and
/// `W_U[toward] - W_U[away]` alone is not. Before a LayerNorm it is centred. Earlier blocks need not read it so: what the
/// logit lens says of a layer, this direction changes there.
///
/// `neutral` is a text in tokens; the typical norm of a layer is the mean over its tokens but the first, whose residual
/// stream is out of scale in many models. Separability is not known: there are no texts to separate. `progress` is told
/// the tokens done and in all. Errors when a token is not in the vocabulary, both are the same, a layer is missing, no
/// layers are named, the text has fewer than two tokens or is too long, or the work was cancelled.
pub async fn vocabulary_direction(
    engine: &mut Engine,
    [toward, away]: [u32; 2],
    layers: &[u32],
    neutral: &[u32],
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<Vec<LayerDirection>, InterpError> {
    if toward == away {
        return Err(InterpError::SameTokens);
    }
    let mut layers = layers.to_vec();
    layers.sort_unstable();
    layers.dedup();
    if layers.is_empty() {
        return Err(InterpError::NoLayers);
    }
    let readouts = engine.readouts(&[toward, away], controls).await?;
    let direction = Toward::new(&readouts[0], &readouts[1], engine.config().norm.kind).direction;
    let norm = direction.iter().map(|x| x * x).sum::<f64>().sqrt();

    let norms = typical_norms(engine, &layers, neutral, controls, progress).await?;
    let at = |(&layer, &typical): (&u32, &f64)| LayerDirection {
        layer,
        direction: direction.iter().map(|&x| x as f32).collect(),
        norm: norm as f32,
        typical_norm: typical as f32,
        explained: None,
        separability: None,
    };
    Ok(layers.iter().zip(&norms).map(at).collect())
}
