//! The activations of contrasting pairs, from which steering vectors are made.

use crate::InterpError;
use crate::products::norm;
use tiller_engine::{Controls, Engine, Harvest, Site, TapRows};

/// Two texts, as token ids, that differ in the concept a vector is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPair {
    pub positive: Vec<u32>,
    pub negative: Vec<u32>,
}

/// The residual stream after one block (`blocks.N.hook_resid_post`), read at the last token of each text of each pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Contrast {
    pub layer: u32,
    width: usize,
    /// `[pairs, width]`.
    positive: Vec<f32>,
    /// `[pairs, width]`.
    negative: Vec<f32>,
}

/// Where the layers' residual streams are read, each once, ascending. Errors when there are no pairs or no layers, or the
/// model lacks a layer.
pub(super) fn layers_of(engine: &Engine, pairs: &[TokenPair], layers: &[u32]) -> Result<Vec<Site>, InterpError> {
    if pairs.is_empty() {
        return Err(InterpError::NoPairs);
    }
    let mut layers = layers.to_vec();
    layers.sort_unstable();
    layers.dedup();
    if layers.is_empty() {
        return Err(InterpError::NoLayers);
    }
    let sites: Vec<Site> = layers.iter().map(|&layer| Site::ResidPost(layer)).collect();
    for site in &sites {
        site.check(engine.config().layers).map_err(tiller_engine::EngineError::from)?;
    }
    Ok(sites)
}

/// The pairs' texts, positive and negative in turns.
pub(super) fn texts_of(pairs: &[TokenPair]) -> Vec<Vec<u32>> {
    pairs.iter().flat_map(|pair| [pair.positive.clone(), pair.negative.clone()]).collect()
}

impl Contrast {
    /// `positive` and `negative`: `[pairs, width]` each.
    pub fn new(layer: u32, width: usize, positive: Vec<f32>, negative: Vec<f32>) -> Contrast {
        assert!(width > 0 && positive.len() == negative.len() && positive.len().is_multiple_of(width));
        Contrast { layer, width, positive, negative }
    }

    /// Runs all texts in one batch and reads every layer of `layers`. The contrasts come in the order of the layers,
    /// each layer once. `progress` is told the tokens done and in all.
    ///
    /// Errors when there are no pairs or no layers, a text is empty or too long, the model lacks a layer, an activation
    /// is not finite, or the work was cancelled.
    pub async fn read(
        engine: &mut Engine,
        pairs: &[TokenPair],
        layers: &[u32],
        controls: &impl Controls,
        progress: impl FnMut(u64, u64),
    ) -> Result<Vec<Contrast>, InterpError> {
        let sites = layers_of(engine, pairs, layers)?;
        let width = engine.config().width as usize;
        let blank =
            |layer: u32| Contrast::new(layer, width, vec![0.0; pairs.len() * width], vec![0.0; pairs.len() * width]);
        let mut contrasts: Vec<Contrast> = sites.iter().filter_map(|site| site.layer()).map(blank).collect();

        let prompts = texts_of(pairs);
        let what = Harvest { prompts: &prompts, sites: &sites, rows: TapRows::Picks, edits: &[] };
        let mut not_finite = None;
        engine
            .harvest(&what, controls, progress, |reading| {
                if !reading.values.iter().all(|value| value.is_finite()) {
                    not_finite.get_or_insert(reading.site);
                }
                let contrast = sites.iter().position(|&site| site == reading.site).map(|n| &mut contrasts[n]);
                let contrast = contrast.expect("only the sites that were asked for are read");
                let (pair, is_negative) = (reading.prompt / 2, reading.prompt % 2 == 1);
                let class = if is_negative { &mut contrast.negative } else { &mut contrast.positive };
                class[pair * width..(pair + 1) * width].copy_from_slice(reading.values);
            })
            .await?;
        match not_finite {
            Some(site) => Err(InterpError::NotFinite { site }),
            None => Ok(contrasts),
        }
    }

    /// Width of the residual stream.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The pairs' activations, positive and negative, `[width]` each.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (&[f32], &[f32])> {
        self.positive.chunks_exact(self.width).zip(self.negative.chunks_exact(self.width))
    }

    /// The pairs whose number is among those to keep.
    pub fn of_pairs(&self, kept: impl Fn(usize) -> bool) -> Contrast {
        let rows = |side: &[f32]| {
            let rows = side.chunks_exact(self.width).enumerate();
            rows.filter(|(pair, _)| kept(*pair)).flat_map(|(_, row)| row.iter().copied()).collect()
        };
        Contrast::new(self.layer, self.width, rows(&self.positive), rows(&self.negative))
    }

    /// The pairs' differences, positive less negative: `[pairs, width]`.
    pub fn differences(&self) -> Vec<Vec<f64>> {
        let difference = |(positive, negative): (&[f32], &[f32])| {
            positive.iter().zip(negative).map(|(&p, &n)| f64::from(p) - f64::from(n)).collect()
        };
        self.pairs().map(difference).collect()
    }

    /// Mean L2 norm over all texts, of both classes.
    pub fn typical_norm(&self) -> f64 {
        let norms = self.pairs().flat_map(|(positive, negative)| [norm(positive), norm(negative)]);
        norms.sum::<f64>() / (2 * self.pairs().len()) as f64
    }
}
