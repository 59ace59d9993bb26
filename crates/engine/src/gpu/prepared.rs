//! Edits with their numbers on the device.

use super::{GpuState, features};
use crate::EngineError;
use crate::edit::{CachedPart, CachedRows, Change, Columns, Condition, Coordinate, Gate, PlannedEdit, Test};
use std::ops::Range;
use std::rc::Rc;
use tiller_kernels::{Encoder, FeatureChanges, Gpu, Patch, Score, StoredPatch, TokenSet, UnitList, Vector};

pub(super) struct PreparedEdit {
    /// Where it acts, unless on listed units.
    pub columns: Range<u32>,
    pub units: Option<UnitList>,
    pub change: PreparedChange,
    /// With its slot.
    pub condition: Option<(u32, PreparedCondition)>,
}

pub(super) enum PreparedChange {
    Add(Vector),
    Set(Vector),
    Scale,
    Directions { read: Vector, write: Vector, coordinate: PreparedCoordinate, keep_norm: bool },
    Patch(Patch),
    PatchFrom(StoredPatch),
    Displace(StoredPatch, Vector),
    Features { encoder: Rc<Encoder>, changes: FeatureChanges },
}

pub(super) enum PreparedCoordinate {
    Affine { offsets: Option<Vector> },
    Clamp { low: f32, high: f32 },
    OneSided,
}

pub(super) enum PreparedCondition {
    Tokens(TokenSet),
    Activation(tiller_kernels::Condition, Range<u32>),
    /// A condition on the one number that is the feature's value.
    Feature {
        condition: tiller_kernels::Condition,
        columns: Range<u32>,
        encoder: Rc<Encoder>,
        feature: u32,
    },
}

impl PreparedEdit {
    pub fn new(gpu: &Gpu, state: &GpuState, vocab: u32, edit: &PlannedEdit) -> Result<PreparedEdit, EngineError> {
        let (columns, units) = match &edit.columns {
            Columns::Range(range) => (range.clone(), None),
            Columns::Listed(listed) => (0..0, Some(UnitList::new(gpu, listed)?)),
        };
        let vector = |values: &[f32]| Vector::new(gpu, values);
        let change = match &edit.change {
            Change::Add(v) => PreparedChange::Add(vector(v)?),
            Change::Set(v) => PreparedChange::Set(vector(v)?),
            Change::Scale => PreparedChange::Scale,
            Change::Directions { read, write, coordinate, keep_norm } => PreparedChange::Directions {
                read: vector(read)?,
                write: vector(write)?,
                coordinate: match coordinate {
                    Coordinate::Affine { offsets } => {
                        PreparedCoordinate::Affine { offsets: offsets.as_deref().map(vector).transpose()? }
                    }
                    Coordinate::Clamp { low, high } => PreparedCoordinate::Clamp { low: *low, high: *high },
                    Coordinate::OneSided => PreparedCoordinate::OneSided,
                },
                keep_norm: *keep_norm,
            },
            Change::Patch(rows) => {
                let mut entries: Vec<(u32, &[f32])> = rows.0.iter().map(|(at, values)| (*at, &values[..])).collect();
                entries.sort_unstable_by_key(|&(at, _)| at);
                PreparedChange::Patch(Patch::new(gpu, columns.len() as u32, &entries)?)
            }
            Change::PatchFrom(from) => PreparedChange::PatchFrom(stored(gpu, from)?),
            Change::Displace { from, directions } => PreparedChange::Displace(stored(gpu, from)?, vector(directions)?),
            Change::Features(what) => PreparedChange::Features {
                encoder: state.encoder(&what.encoder)?,
                changes: features::changes(gpu, what)?,
            },
        };
        let condition = match &edit.gate {
            Some(gate) => Some((gate.slot, condition(gpu, state, vocab, gate)?)),
            None => None,
        };
        Ok(PreparedEdit { columns, units, change, condition })
    }
}

fn stored(gpu: &Gpu, from: &CachedPart) -> Result<StoredPatch, EngineError> {
    let CachedRows { cache, site, rows } = &from.rows;
    let store = cache.store(*site).ok_or_else(|| EngineError::NotCaptured(format!("{site} on this GPU")))?;
    Ok(StoredPatch::new(gpu, store, from.columns.clone(), rows)?)
}

impl PreparedCoordinate {
    pub fn borrowed(&self) -> tiller_kernels::Coordinate<'_> {
        match self {
            PreparedCoordinate::Affine { offsets } => tiller_kernels::Coordinate::Affine { offsets: offsets.as_ref() },
            PreparedCoordinate::Clamp { low, high } => tiller_kernels::Coordinate::Clamp { low: *low, high: *high },
            PreparedCoordinate::OneSided => tiller_kernels::Coordinate::OneSided,
        }
    }
}

fn condition(gpu: &Gpu, state: &GpuState, vocab: u32, gate: &Gate) -> Result<PreparedCondition, EngineError> {
    Ok(match &gate.condition {
        Condition::Token(tokens) => PreparedCondition::Tokens(TokenSet::new(gpu, vocab, tokens)?),
        Condition::Activation { test, above, threshold, latched, .. } => {
            let condition = tiller_kernels::Condition {
                vector: Vector::new(gpu, test.vector().map_or(&[1.0], |vector| vector))?,
                score: match test {
                    Test::Probe { bias, .. } => Score::Dot { bias: *bias },
                    Test::Feature { .. } => Score::Dot { bias: 0.0 },
                    Test::Cosine { .. } => Score::Cosine,
                    Test::CosineToProjection { .. } => Score::CosineToProjection,
                },
                above: *above,
                threshold: *threshold,
                latch: if *latched { Some(state.latch(gate.slot)?) } else { None },
            };
            let columns = gate.columns.clone();
            match &gate.feature {
                None => PreparedCondition::Activation(condition, columns),
                Some(test) => {
                    let encoder = state.encoder(&test.encoder)?;
                    PreparedCondition::Feature { condition, columns, encoder, feature: test.feature }
                }
            }
        }
    })
}
