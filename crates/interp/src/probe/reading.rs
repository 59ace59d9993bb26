//! Activations of many texts, one for each text and site.

use super::examples::{Activations, Read};
use crate::InterpError;
use tiller_engine::{Controls, Edit, Engine, EngineError, Harvest, Site, TapRows};

/// The most that is kept, in bytes: a tab has not much more.
const MOST_BYTES: usize = 768 << 20;

/// Runs all texts in one batch and keeps what `read` says of each site: by site, `[texts, width of the site]`. `edits` act on
/// every text.
///
/// They are read to the host, since a fit needs all of them in double precision, and no less would come back of sums made
/// on the device: of 1,000 texts at SmolLM2's 30 layers the last tokens are 69 MB, the products of all texts with each
/// other, from which a fit could be made as well, 120. `progress` is told the tokens done and in all.
///
/// Errors when no site is named, a text is empty or too long, the model lacks a site, an activation is not finite, there are
/// more than fit into memory, or the work was cancelled.
pub async fn read(
    engine: &mut Engine,
    tokens: &[Vec<u32>],
    sites: &[Site],
    read: Read,
    edits: &[Edit],
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<Vec<Activations>, InterpError> {
    if sites.is_empty() {
        return Err(InterpError::NoLayers);
    }
    let config = engine.config();
    let mut widths = Vec::with_capacity(sites.len());
    for &site in sites {
        config.check_site(site).map_err(EngineError::from)?;
        if matches!(site, Site::AttnScores(_) | Site::Pattern(_)) {
            return Err(EngineError::NotCaptured(format!("{site}, whose width changes with the text")).into());
        }
        widths.push(config.site_width(site, 0) as usize);
    }
    let width = widths.iter().sum::<usize>();
    if tokens.len().saturating_mul(width) > MOST_BYTES / size_of::<f32>() {
        let width = widths.iter().copied().max().unwrap_or(0);
        return Err(InterpError::TooManyActivations { texts: tokens.len(), sites: sites.len(), width });
    }
    let blank = |&width: &usize| Activations::new(width, vec![0.0; tokens.len() * width]);
    let mut kept: Vec<Activations> = widths.iter().map(blank).collect();
    let mut not_finite = None;
    let rows = match read {
        Read::Last => TapRows::Picks,
        Read::Mean => TapRows::All,
    };
    let what = Harvest { prompts: tokens, sites, rows, edits };
    engine
        .harvest(&what, controls, progress, |reading| {
            if !reading.values.iter().all(|value| value.is_finite()) {
                not_finite.get_or_insert(reading.site);
            }
            let place = sites.iter().position(|&site| site == reading.site).expect("it was asked for");
            let share = match read {
                Read::Last => 1.0,
                Read::Mean => 1.0 / tokens[reading.prompt].len() as f32,
            };
            let row = kept[place].row_mut(reading.prompt);
            row.iter_mut().zip(reading.values).for_each(|(sum, &value)| *sum += share * value);
        })
        .await?;
    match not_finite {
        Some(site) => Err(InterpError::NotFinite { site }),
        None => Ok(kept),
    }
}
