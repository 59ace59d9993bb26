//! How long the residual stream is at a layer: the unit of strengths, where there are no pairs to take it from.

use crate::InterpError;
use tiller_engine::{Controls, Engine, EngineError, Harvest, Site, TapRows};

/// Mean L2 norm of the residual stream after each of the blocks, over the text's tokens but the first, whose stream is
/// out of scale in many models. `progress` is told the tokens done and in all. Errors when a block is missing, the text has
/// fewer than two tokens or is too long, a norm is not finite, or the work was cancelled.
pub async fn typical_norms(
    engine: &mut Engine,
    layers: &[u32],
    text: &[u32],
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<Vec<f64>, InterpError> {
    if text.len() < 2 {
        return Err(InterpError::NeutralTooShort { tokens: text.len(), needed: 2 });
    }
    let sites: Vec<Site> = layers.iter().map(|&layer| Site::ResidPost(layer)).collect();
    for site in &sites {
        site.check(engine.config().layers).map_err(EngineError::from)?;
    }
    let prompts = [text.to_vec()];
    let what = Harvest { prompts: &prompts, sites: &sites, rows: TapRows::All, edits: &[] };
    let mut norms = vec![0.0; sites.len()];
    engine
        .harvest(&what, controls, progress, |reading| {
            let places = sites.iter().zip(&mut norms).filter(|(site, _)| **site == reading.site);
            if reading.position > 0 {
                let square: f64 = reading.values.iter().map(|&x| f64::from(x).powi(2)).sum();
                places.for_each(|(_, norm)| *norm += square.sqrt() / (text.len() - 1) as f64);
            }
        })
        .await?;
    match norms.iter().position(|norm| !norm.is_finite()) {
        Some(place) => Err(InterpError::NotFinite { site: sites[place] }),
        None => Ok(norms),
    }
}
