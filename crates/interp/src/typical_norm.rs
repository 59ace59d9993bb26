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
    let cache = engine.capture(&what, controls, progress).await?;
    // Of each token its stream's length is all that is needed, and all that comes back.
    let nothing = vec![0.0; engine.config().width as usize];
    let of_rows: Vec<(Site, &[f32])> = sites.iter().map(|&site| (site, &nothing[..])).collect();
    let mean = |rows: Vec<tiller_engine::RowProducts>| {
        rows.iter().skip(1).map(|row| row.square.sqrt()).sum::<f64>() / (text.len() - 1) as f64
    };
    let norms: Vec<f64> = cache.row_products(&of_rows).await?.into_iter().map(mean).collect();
    match norms.iter().position(|norm| !norm.is_finite()) {
        Some(place) => Err(InterpError::NotFinite { site: sites[place] }),
        None => Ok(norms),
    }
}
