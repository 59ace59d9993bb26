//! Changes to activations while the pass runs.
//!
//! Several edits compose in the order in which they are given: the pass comes by the sites in its own order, and at one
//! site each edit sees what the ones before it left. A condition reads its site before any edit there acts.

mod cached;
mod condition;
mod plan;

use crate::EngineError;
use crate::features::{Dictionary, FeatureChange};
use std::sync::Arc;
use tiller_sites::{Positions, Site};

pub(crate) use cached::CachedPart;
pub use cached::CachedRows;
pub use condition::{Condition, Test};
pub(crate) use plan::{Change, Columns, Coordinate, FeatureChanges, Gate, PlannedEdit, mask, plan_edits};

/// A change to the activation at one site.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    pub site: Site,
    pub part: Part,
    pub operation: Operation,
    pub positions: Positions,
    /// Where there is one, the edit acts only on tokens for which it holds.
    pub condition: Option<Condition>,
}

/// Which numbers of a token's activation an edit acts on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Part {
    #[default]
    All,
    /// One head's, at sites that have heads. Keys and values have a head for each group of queries.
    Head(u32),
    /// These alone, such as neurons of `mlp.hook_post`.
    Units(Arc<[u32]>),
}

/// What an edit does to the activation `x` of a token (its chosen part). Vectors are as wide as the part; the numbers
/// named `coefficient`, `factor` and `strength` may change between steps.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// `x + coefficient * vector`.
    Add { vector: Arc<[f32]>, coefficient: f32 },
    /// `(1 - coefficient) x`: at 1 exactly zero.
    Zero { coefficient: f32 },
    /// `x + coefficient * (values - x)`: at 1 exactly the values, such as means.
    Set { values: Arc<[f32]>, coefficient: f32 },
    /// `factor * x`.
    Scale { factor: f32 },
    /// `x + (factor - 1) (x . d) d`, d the unit vector along `direction`: at 0 the direction is projected out.
    Rescale { direction: Arc<[f32]>, factor: f32 },
    /// `x + (clamp(x . d, low, high) - x . d) d`, d the unit vector along `direction`.
    Cap { direction: Arc<[f32]>, low: f32, high: f32 },
    /// `|x| u / |u|` where `u = x - strength * max(0, x . d) d`: takes away the direction on its positive side, and
    /// keeps the length.
    Suppress { direction: Arc<[f32]>, strength: f32 },
    /// `x + coefficient * sum_k (read_k . x + offset_k) write_k`, of rank r: `read` and `write` are `[r, width]`,
    /// `offsets` is `[r]`. An affine map of low rank, such as an erasure (LEACE).
    Map { read: Arc<[f32]>, write: Arc<[f32]>, offsets: Option<Arc<[f32]>>, coefficient: f32 },
    /// `x + coefficient * (values - x)` with values of its own for each position, at 1 exactly the values: activations
    /// patched in from another run. Positions that have no values stay as they are.
    Patch { rows: Arc<PatchRows>, coefficient: f32 },
    /// The same with values that a [`RunCache`](crate::RunCache) holds.
    PatchFrom { rows: CachedRows, coefficient: f32 },
    /// `x + coefficient * |values - x| d` with the values that [`Operation::PatchFrom`] would put in and a direction d for
    /// each, `[rows, width]` in their order: as long a step as the patch, another way.
    Displace { rows: CachedRows, directions: Arc<[f32]>, coefficient: f32 },
    /// `x + coefficient * u * sum_i (g_i(f_i) - f_i) d_i` over the listed features i of a sparse autoencoder: f the
    /// features of this x, before any of them is changed; g what is made of them; d their directions; u what brings the
    /// directions to x's units where the SAE normalises (else 1). What the SAE leaves out of x stays exactly as it was.
    /// At most [`MOST_FEATURES`](crate::MOST_FEATURES) features, none twice; the whole activation alone. `directions`:
    /// `[changes, d_in]`, written instead of the SAE's own, as a control does.
    Features { sae: Dictionary, changes: Arc<[(u32, FeatureChange)]>, directions: Option<Arc<[f32]>>, coefficient: f32 },
}

/// Activations by position, to be patched in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PatchRows(pub Vec<(u32, Vec<f32>)>);

/// Each row of a step says by the bits of one word which edits act on it, and which conditions look at it.
pub(crate) const MAX_EDITS: usize = 32;

/// Directions of a [`Operation::Map`].
pub(crate) const MAX_RANK: usize = 256;

impl Edit {
    /// At every token, on the whole activation, without a condition.
    pub fn new(site: Site, operation: Operation) -> Edit {
        Edit { site, part: Part::All, operation, positions: Positions::All, condition: None }
    }

    /// `x + coefficient * vector`.
    pub fn add(site: Site, vector: impl Into<Arc<[f32]>>, coefficient: f32) -> Edit {
        Edit::new(site, Operation::Add { vector: vector.into(), coefficient })
    }

    pub fn at(self, positions: Positions) -> Edit {
        Edit { positions, ..self }
    }

    pub fn on(self, part: Part) -> Edit {
        Edit { part, ..self }
    }

    pub fn when(self, condition: Condition) -> Edit {
        Edit { condition: Some(condition), ..self }
    }

    /// What may change between steps, in the operation's own terms: a coefficient, factor or strength.
    pub(crate) fn strength(&self) -> f32 {
        match &self.operation {
            Operation::Add { coefficient, .. }
            | Operation::Zero { coefficient }
            | Operation::Set { coefficient, .. }
            | Operation::Map { coefficient, .. }
            | Operation::Patch { coefficient, .. }
            | Operation::PatchFrom { coefficient, .. }
            | Operation::Displace { coefficient, .. }
            | Operation::Features { coefficient, .. } => *coefficient,
            Operation::Scale { factor } | Operation::Rescale { factor, .. } => *factor,
            Operation::Cap { .. } => 1.0,
            Operation::Suppress { strength, .. } => *strength,
        }
    }

    /// The coefficient of the change that both backends make (see [`Change`]), for a strength in the operation's terms.
    pub(crate) fn coefficient(&self, strength: f32) -> f32 {
        match &self.operation {
            Operation::Rescale { .. } => strength - 1.0,
            _ => strength,
        }
    }

    /// The run whose activations it puts in.
    pub(crate) fn cache(&self) -> Option<&Arc<crate::RunCache>> {
        match &self.operation {
            Operation::PatchFrom { rows, .. } | Operation::Displace { rows, .. } => Some(&rows.cache),
            _ => None,
        }
    }

    pub(crate) fn misfit(&self, what: String) -> EngineError {
        EngineError::Edit { site: self.site, what }
    }
}
