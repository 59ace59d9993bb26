//! The neurons that write most at a text's last token.

use super::ValueVectors;
use crate::InterpError;
use serde::Serialize;
use tiller_engine::{Controls, Engine, Harvest, Site, TapRows};

/// A neuron at one token.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ActiveNeuron {
    pub neuron: u32,
    /// At `blocks.N.mlp.hook_post`. Of a gated MLP it may be negative: the value vector is then written turned round.
    pub activation: f32,
    /// The length of what it adds to the residual stream.
    pub written: f32,
}

/// The `count` neurons of the block that write the longest vectors at the last token of `tokens`: activation times value
/// vector, the longest first. `progress` is told the tokens done and in all. Errors when the text is empty or too long, an
/// activation is not finite, or the work was cancelled.
pub async fn most_active(
    engine: &mut Engine,
    values: &ValueVectors,
    tokens: &[u32],
    count: usize,
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<Vec<ActiveNeuron>, InterpError> {
    let site = Site::MlpPost(values.layer);
    let prompts = [tokens.to_vec()];
    let what = Harvest { prompts: &prompts, sites: &[site], rows: TapRows::Picks, edits: &[] };
    let mut activations = Vec::new();
    engine.harvest(&what, controls, progress, |reading| activations = reading.values.to_vec()).await?;
    if !activations.iter().all(|x| x.is_finite()) {
        return Err(InterpError::NotFinite { site });
    }
    let active = |(neuron, &activation): (u32, &f32)| {
        let written = f64::from(activation).abs() * values.norm(neuron);
        ActiveNeuron { neuron, activation, written: written as f32 }
    };
    let mut found: Vec<ActiveNeuron> = (0..).zip(&activations).map(active).collect();
    found.sort_by(|a, b| b.written.total_cmp(&a.written).then(a.neuron.cmp(&b.neuron)));
    found.truncate(count);
    Ok(found)
}
