//! Mean-difference steering vectors.

use super::{Contrast, Separability, TokenPair};
use crate::InterpError;
use serde::Serialize;
use tiller_engine::{Controls, Engine};

/// Directions at some layers of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanDifference {
    /// By layer, ascending.
    pub layers: Vec<LayerDirection>,
    /// The layer to begin with; `None` where separability is not known (fewer than three pairs).
    pub suggested: Option<u32>,
    pub pairs: usize,
}

/// The direction at one layer, read from the residual stream after its block.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerDirection {
    pub layer: u32,
    /// Mean difference, positive less negative, `[d_model]`, not normalised.
    #[serde(skip)]
    pub difference: Vec<f32>,
    /// L2 norm of `difference`.
    pub norm: f32,
    /// Mean L2 norm of the residual stream over the texts' last tokens.
    pub typical_norm: f32,
    /// `None` for fewer than three pairs.
    pub separability: Option<Separability>,
}

/// The mean difference of the residual stream between positive and negative texts, read at their last tokens after each
/// block of `layers` (Rimsky et al. 2023, "Steering Llama 2 via Contrastive Activation Addition"; Marks and Tegmark 2023,
/// "The Geometry of Truth", call the same direction mass-mean).
///
/// All texts run in one batch. `progress` is told the tokens done and in all. Errors as [`Contrast::read`].
pub async fn mean_difference(
    engine: &mut Engine,
    pairs: &[TokenPair],
    layers: &[u32],
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<MeanDifference, InterpError> {
    let blocks = engine.config().layers;
    let contrasts = Contrast::read(engine, pairs, layers, controls, progress).await?;
    let layers: Vec<LayerDirection> = contrasts.iter().map(direction).collect();
    Ok(MeanDifference { suggested: suggest(&layers, blocks), layers, pairs: pairs.len() })
}

fn direction(contrast: &Contrast) -> LayerDirection {
    let pairs = contrast.pairs().len() as f64;
    let mean: Vec<f64> = contrast.summed_difference().iter().map(|sum| sum / pairs).collect();
    LayerDirection {
        layer: contrast.layer,
        difference: mean.iter().map(|&x| x as f32).collect(),
        norm: mean.iter().map(|x| x * x).sum::<f64>().sqrt() as f32,
        typical_norm: contrast.typical_norm() as f32,
        separability: Separability::leave_one_pair_out(contrast),
    }
}

/// The layer to begin with, of a model with `blocks` blocks.
fn suggest(layers: &[LayerDirection], blocks: u32) -> Option<u32> {
    let in_the_middle = |layer: u32| (blocks / 4..blocks - blocks / 4).contains(&layer);
    let judged = layers.iter().filter_map(|layer| Some((layer.layer, layer.separability?)));
    let best = judged.max_by(|(a, sa), (b, sb)| {
        let by_place = in_the_middle(*a).cmp(&in_the_middle(*b));
        by_place.then(sa.accuracy.total_cmp(&sb.accuracy)).then(sa.d_prime.total_cmp(&sb.d_prime)).then(b.cmp(a))
    });
    best.map(|(layer, _)| layer)
}
