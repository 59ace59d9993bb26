//! Residual streams to train a lens on.

use super::super::logit_lens::places;
use super::target::Target;
use crate::InterpError;
use tiller_engine::{Controls, Engine, Harvest, TapRows};

/// Bytes of residual streams that are held, at most.
const MOST_BYTES: usize = 512 << 20;

/// The residual streams of some positions of some texts, at every place.
pub struct LensData {
    width: usize,
    positions: usize,
    /// By place, the last block's output first: `[positions, d_model]`.
    residuals: Vec<Vec<f32>>,
}

impl LensData {
    /// Reads up to `most` positions, text after text, of each text all but the first token. Errors when there are none,
    /// they do not fit into memory, or are not finite.
    pub async fn read(
        engine: &mut Engine,
        texts: &[Vec<u32>],
        most: usize,
        controls: &impl Controls,
    ) -> Result<LensData, InterpError> {
        let width = engine.config().width as usize;
        let sites: Vec<_> = places(engine.config().layers).collect();
        let mut left = most;
        let mut prompts = Vec::new();
        for text in texts.iter().filter(|text| text.len() > 1) {
            if left == 0 {
                break;
            }
            let text: Vec<u32> = text[..text.len().min(left.saturating_add(1))].to_vec();
            left -= text.len() - 1;
            prompts.push(text);
        }
        // By prompt, the row of its second token.
        let mut starts = Vec::with_capacity(prompts.len());
        let mut positions = 0;
        for prompt in &prompts {
            starts.push(positions);
            positions += prompt.len() - 1;
        }
        if positions == 0 {
            return Err(InterpError::TooLittleText { tokens: 0, needed: 1 });
        }
        if positions.saturating_mul(width * 4 * sites.len()) > MOST_BYTES {
            return Err(InterpError::TooManyActivations { texts: positions, sites: sites.len(), width });
        }
        let mut residuals = vec![vec![0.0; positions * width]; sites.len()];
        let mut not_finite = None;
        let harvest = Harvest { prompts: &prompts, sites: &sites, rows: TapRows::All, edits: &[] };
        let keep = |reading: tiller_engine::Reading<'_>| {
            let Some(position) = (reading.position as usize).checked_sub(1) else { return };
            if !reading.values.iter().all(|value| value.is_finite()) {
                not_finite.get_or_insert(reading.site);
            }
            let place = sites.iter().position(|&site| site == reading.site).expect("it was asked for");
            let row = starts[reading.prompt] + position;
            residuals[place][row * width..(row + 1) * width].copy_from_slice(reading.values);
        };
        engine.harvest(&harvest, controls, |_, _| {}, keep).await?;
        match not_finite {
            Some(site) => Err(InterpError::NotFinite { site }),
            None => Ok(LensData { width, positions, residuals }),
        }
    }

    pub fn positions(&self) -> usize {
        self.positions
    }

    /// The root mean square of each place's numbers, by translator.
    pub(super) fn units(&self) -> impl Iterator<Item = f64> + '_ {
        self.residuals[1..].iter().map(|values| {
            let squares: f64 = values.iter().map(|&x| f64::from(x).powi(2)).sum();
            (squares / values.len() as f64).sqrt().max(f64::from(f32::MIN_POSITIVE))
        })
    }

    /// `[translators, rows, d_model]`.
    pub(super) fn residuals(&self, rows: &[usize]) -> Vec<f32> {
        self.residuals[1..].iter().flat_map(|values| self.pick(values, rows)).collect()
    }

    fn pick(&self, values: &[f32], rows: &[usize]) -> Vec<f32> {
        rows.iter().flat_map(|row| &values[row * self.width..(row + 1) * self.width]).copied().collect()
    }

    /// What the model itself says at these positions.
    pub(super) async fn targets(
        &self,
        engine: &mut Engine,
        rows: &[usize],
        controls: &impl Controls,
    ) -> Result<Vec<Target>, InterpError> {
        let last = self.pick(&self.residuals[0], rows);
        let mut targets = Vec::with_capacity(rows.len());
        engine.unembed(&last, controls, |_, _| {}, |_, logits| targets.push(Target::of(logits))).await?;
        let targets: Option<Vec<Target>> = targets.into_iter().collect();
        targets.ok_or(InterpError::Overdriven)
    }
}
