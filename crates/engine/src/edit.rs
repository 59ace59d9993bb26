//! Changes to activations while the pass runs.

use crate::EngineError;
use std::sync::Arc;
use tiller_model::ModelConfig;
use tiller_sites::{Positions, Site};

/// A change to the activation at one site.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    pub site: Site,
    pub operation: Operation,
    pub positions: Positions,
}

/// What an edit does to the activation `x` of a token.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// `x + coefficient * vector`; the vector has the site's width. The coefficient may change between steps.
    Add { vector: Arc<[f32]>, coefficient: f32 },
}

/// Each row of a step says by the bits of one word which edits act on it.
pub(crate) const MAX_EDITS: usize = 32;

impl Edit {
    pub(crate) fn check(&self, config: &ModelConfig) -> Result<(), EngineError> {
        self.site.check(config.layers)?;
        let expected = width_at(self.site, config);
        let Operation::Add { vector, .. } = &self.operation;
        if vector.len() != expected {
            return Err(EngineError::VectorWidth { site: self.site, expected, found: vector.len() });
        }
        Ok(())
    }

    pub(crate) fn coefficient(&self) -> f32 {
        let Operation::Add { coefficient, .. } = self.operation;
        coefficient
    }
}

/// The width of the activation at `site`.
pub(crate) fn width_at(site: Site, config: &ModelConfig) -> usize {
    match site {
        Site::Logits => config.vocab as usize,
        _ => config.width as usize,
    }
}

/// Which of `edits` (those a lane has switched on, as bits) act on the token at `position`.
pub(crate) fn mask(edits: &[Edit], switched_on: u32, position: u32, prompt_len: u32) -> u32 {
    edits
        .iter()
        .enumerate()
        .filter(|(e, edit)| switched_on >> e & 1 == 1 && edit.positions.include(position, prompt_len))
        .fold(0, |mask, (e, _)| mask | 1 << e)
}
