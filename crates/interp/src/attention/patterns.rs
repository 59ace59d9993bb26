//! Attention patterns of a text.

use crate::InterpError;
use serde::Serialize;
use tiller_engine::{Controls, Engine, EngineError, Harvest, Site, TapRows};

/// Where one head looks from each token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeadPattern {
    /// By the token that looks: shares of the tokens up to it, which add up to one.
    pub rows: Vec<Vec<f32>>,
}

/// The patterns of all heads of block `layer` over the text (`attn.hook_pattern`). `progress` is told the tokens done and
/// in all. Errors when the text is empty or too long, there is no such block, or the work was cancelled.
pub async fn attention_patterns(
    engine: &mut Engine,
    tokens: &[u32],
    layer: u32,
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<Vec<HeadPattern>, InterpError> {
    let site = Site::Pattern(layer);
    engine.config().check_site(site).map_err(EngineError::from)?;
    let mut heads = vec![HeadPattern { rows: Vec::with_capacity(tokens.len()) }; engine.config().heads as usize];
    let prompts = [tokens.to_vec()];
    let harvest = Harvest { prompts: &prompts, sites: &[site], rows: TapRows::All, edits: &[] };
    let mut finite = true;
    engine
        .harvest(&harvest, controls, progress, |reading| {
            finite &= reading.values.iter().all(|share| share.is_finite());
            let seen = reading.position as usize + 1;
            for (head, row) in heads.iter_mut().zip(reading.values.chunks_exact(seen)) {
                head.rows.push(row.to_vec());
            }
        })
        .await?;
    if finite { Ok(heads) } else { Err(InterpError::NotFinite { site }) }
}
