//! Edits as both backends make them: checked against the model, columns found, and the operations brought down to five
//! kinds of change.

use super::{CachedPart, CachedRows, Condition, Edit, MAX_EDITS, MAX_RANK, Operation, Part, PatchRows, Test};
use crate::features::{Dictionary, FeatureChange, MOST_FEATURES};
use crate::{EngineError, RunCache};
use std::ops::Range;
use std::sync::Arc;
use tiller_model::{ModelConfig, is_over_keys};
use tiller_sites::Site;

/// An edit without its coefficient, which is data of the step: in the slot that is the edit's index.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlannedEdit {
    pub site: Site,
    pub columns: Columns,
    pub change: Change,
    pub gate: Option<Gate>,
}

/// Columns of the activation that holds the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Columns {
    Range(Range<u32>),
    Listed(Arc<[u32]>),
}

impl Columns {
    pub fn len(&self) -> usize {
        match self {
            Columns::Range(range) => range.len(),
            Columns::Listed(listed) => listed.len(),
        }
    }
}

/// What happens to the columns `x` of a row; `c` is the step's coefficient of the slot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// `x + c v`.
    Add(Arc<[f32]>),
    /// `x + c (v - x)`, exactly v at 1.
    Set(Arc<[f32]>),
    /// `c x`.
    Scale,
    /// `x + sum_k f(read_k . x) write_k`, then brought back to the length of x if `keep_norm`.
    Directions {
        read: Arc<[f32]>,
        write: Arc<[f32]>,
        coordinate: Coordinate,
        keep_norm: bool,
    },
    /// As `Set`, with values by position.
    Patch(Arc<PatchRows>),
    PatchFrom(CachedPart),
    /// `x + c |v - x| d`, with values and directions by position.
    Displace {
        from: CachedPart,
        directions: Arc<[f32]>,
    },
    /// See [`Operation::Features`].
    Features(FeatureChanges),
}

/// Changes of features, by their numbers in `encoder`; their directions are `[changes, width]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FeatureChanges {
    /// The listed features alone where they are each on their own, else all.
    pub encoder: Dictionary,
    pub changes: Arc<[(u32, FeatureChange)]>,
    pub directions: Arc<[f32]>,
}

/// The feature of `encoder` that a condition reads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FeatureTest {
    pub encoder: Dictionary,
    pub feature: u32,
}

/// The function f of [`Change::Directions`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Coordinate {
    /// `c (s + offset_k)`.
    Affine { offsets: Option<Arc<[f32]>> },
    /// `c (clamp(s, low, high) - s)`.
    Clamp { low: f32, high: f32 },
    /// `-c max(s, 0)`.
    OneSided,
}

/// A condition, and the slot whose bit says at which rows it is looked at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gate {
    pub condition: Condition,
    pub slot: u32,
    /// Columns of the activation that the condition reads; empty where it reads the token.
    pub columns: Range<u32>,
    /// Where it reads a feature.
    pub feature: Option<FeatureTest>,
}

/// Checks edits against the model. `keys`: what attention patterns have room for, where edits touch them.
pub(crate) fn plan_edits(edits: &[Edit], config: &ModelConfig, keys: u32) -> Result<Vec<PlannedEdit>, EngineError> {
    let conditions = edits.iter().filter(|edit| edit.condition.is_some()).count();
    if edits.len() + conditions > MAX_EDITS {
        return Err(EngineError::TooManyEdits { limit: MAX_EDITS });
    }
    let mut gate_slot = edits.len() as u32;
    edits
        .iter()
        .map(|edit| {
            let gate = match &edit.condition {
                Some(condition) => {
                    gate_slot += 1;
                    Some(plan_gate(edit, condition, gate_slot - 1, config, keys)?)
                }
                None => None,
            };
            let columns = columns(edit, config, keys)?;
            let change = change(edit, &columns, config)?;
            Ok(PlannedEdit { site: edit.site, columns, change, gate })
        })
        .collect()
}

/// The bits of a row: which of `edits` (those a lane has switched on, as bits) act on the token at `position`, and which
/// of their conditions look at it.
pub(crate) fn mask(edits: &[Edit], switched_on: u32, position: u32, prompt_len: u32) -> u32 {
    let mut bits = 0;
    let mut gate_slot = edits.len();
    for (e, edit) in edits.iter().enumerate() {
        if switched_on >> e & 1 == 1 && edit.positions.include(position, prompt_len) {
            bits |= 1 << e;
        }
        if let Some(condition) = &edit.condition {
            let looks = match condition {
                Condition::Token(_) => true,
                Condition::Activation { positions, .. } => positions.include(position, prompt_len),
            };
            bits |= u32::from(looks) << gate_slot;
            gate_slot += 1;
        }
    }
    bits
}

fn plan_gate(
    edit: &Edit,
    condition: &Condition,
    slot: u32,
    config: &ModelConfig,
    keys: u32,
) -> Result<Gate, EngineError> {
    let mut feature = None;
    let columns = match condition {
        Condition::Token(tokens) => {
            if let Some(&token) = tokens.iter().find(|&&token| token >= config.vocab) {
                return Err(EngineError::UnknownToken(token));
            }
            0..0
        }
        Condition::Activation { site, test, threshold, latched, .. } => {
            config.check_site(*site)?;
            if edit.site.is_before(*site) {
                return Err(edit.misfit(format!("its condition reads {site}, which the model computes later")));
            }
            if is_over_keys(*site) {
                return Err(edit.misfit(format!("its condition reads {site}, whose width changes with the text")));
            }
            if *latched && matches!(site, Site::FinalScale | Site::FinalNorm | Site::Logits) {
                return Err(
                    edit.misfit(format!("its condition remembers {site}, which is not computed for every token"))
                );
            }
            let columns = config.site_columns(*site, keys);
            if let Test::Feature { sae, feature: number } = test {
                sae.check(*site, columns.len())?;
                let (encoder, numbers) = sae.part(*site, &[*number])?;
                feature = Some(FeatureTest { encoder, feature: numbers[0] });
            }
            if let Some(vector) = test.vector().filter(|vector| vector.len() != columns.len()) {
                return Err(EngineError::VectorWidth { site: *site, expected: columns.len(), found: vector.len() });
            }
            let bias = if let Test::Probe { bias, .. } = test { *bias } else { 0.0 };
            finite(edit, test.vector().iter().flat_map(|vector| vector.iter()).chain([threshold, &bias]))?;
            columns
        }
    };
    Ok(Gate { condition: condition.clone(), slot, columns, feature })
}

fn columns(edit: &Edit, config: &ModelConfig, keys: u32) -> Result<Columns, EngineError> {
    config.check_site(edit.site)?;
    let all = config.site_columns(edit.site, keys);
    match &edit.part {
        Part::All => Ok(Columns::Range(all)),
        Part::Head(head) => {
            let Some(heads) = config.site_heads(edit.site) else {
                return Err(edit.misfit("its activation is not divided into heads".into()));
            };
            if *head >= heads {
                return Err(edit.misfit(format!("there is no head {head}: heads there are 0 to {}", heads - 1)));
            }
            let width = all.len() as u32 / heads;
            let first = all.start + head * width;
            Ok(Columns::Range(first..first + width))
        }
        Part::Units(units) => {
            let width = all.len() as u32;
            if let Some(unit) = units.iter().find(|&&unit| unit >= width) {
                return Err(edit.misfit(format!("there is no unit {unit}: units there are 0 to {}", width - 1)));
            }
            let mut listed: Vec<u32> = units.iter().map(|unit| all.start + unit).collect();
            listed.sort_unstable();
            listed.dedup();
            if listed.is_empty() || listed.len() != units.len() {
                return Err(edit.misfit("its list of units is empty or names one twice".into()));
            }
            // In the order of the list, as the values for them are.
            Ok(Columns::Listed(units.iter().map(|unit| all.start + unit).collect()))
        }
    }
}

fn change(edit: &Edit, columns: &Columns, config: &ModelConfig) -> Result<Change, EngineError> {
    let width = columns.len();
    let fits = |vector: &[f32]| match vector.len() == width {
        true => finite(edit, vector),
        false => Err(EngineError::VectorWidth { site: edit.site, expected: width, found: vector.len() }),
    };
    let contiguous = || match columns {
        Columns::Range(_) => Ok(()),
        Columns::Listed(_) => Err(edit.misfit("listed units can be set, scaled or added to, and nothing else".into())),
    };
    let along = |direction: &[f32], coordinate: Coordinate, keep_norm: bool| {
        contiguous()?;
        fits(direction)?;
        let unit = unit(edit, direction)?;
        Ok(Change::Directions { read: unit.clone(), write: unit, coordinate, keep_norm })
    };
    finite(edit, [&edit.strength()])?;
    match &edit.operation {
        Operation::Add { vector, .. } => fits(vector).map(|()| Change::Add(vector.clone())),
        Operation::Set { values, .. } => fits(values).map(|()| Change::Set(values.clone())),
        Operation::Zero { .. } => Ok(Change::Set(vec![0.0; width].into())),
        Operation::Scale { .. } => Ok(Change::Scale),
        Operation::Rescale { direction, .. } => along(direction, Coordinate::Affine { offsets: None }, false),
        Operation::Cap { direction, low, high } => {
            // Infinite bounds cap on one side.
            if !(low <= high) {
                return Err(edit.misfit(format!("its lower bound {low} is not below its upper bound {high}")));
            }
            along(direction, Coordinate::Clamp { low: low.max(f32::MIN), high: high.min(f32::MAX) }, false)
        }
        Operation::Suppress { direction, .. } => along(direction, Coordinate::OneSided, true),
        Operation::Map { read, write, offsets, .. } => {
            contiguous()?;
            let rank = read.len() / width.max(1);
            let whole = read.len() == rank * width && write.len() == read.len() && (1..=MAX_RANK).contains(&rank);
            if !whole || offsets.as_ref().is_some_and(|offsets| offsets.len() != rank) {
                return Err(edit.misfit(format!(
                    "its map has {} numbers to read by and {} to write by, where whole vectors of {width}, as many \
                     of each, at most {MAX_RANK}, are needed",
                    read.len(),
                    write.len()
                )));
            }
            finite(edit, read.iter().chain(write.iter()).chain(offsets.iter().flat_map(|o| o.iter())))?;
            let coordinate = Coordinate::Affine { offsets: offsets.clone() };
            Ok(Change::Directions { read: read.clone(), write: write.clone(), coordinate, keep_norm: false })
        }
        Operation::Patch { rows, .. } => {
            contiguous()?;
            for (position, values) in &rows.0 {
                fits(values)?;
                if *position >= config.context {
                    return Err(edit.misfit(format!("it patches position {position}, beyond the model's context")));
                }
            }
            if rows.0.is_empty() {
                return Err(edit.misfit("it patches no position".into()));
            }
            Ok(Change::Patch(rows.clone()))
        }
        Operation::PatchFrom { rows, .. } => Ok(Change::PatchFrom(cached(edit, rows, columns, config)?)),
        Operation::Displace { rows, directions, .. } => {
            let from = cached(edit, rows, columns, config)?;
            let expected = rows.rows.len() * width;
            if directions.len() != expected {
                return Err(EngineError::VectorWidth { site: edit.site, expected, found: directions.len() });
            }
            finite(edit, directions.iter())?;
            Ok(Change::Displace { from, directions: directions.clone() })
        }
        Operation::Features { sae, changes, directions, .. } => {
            features(edit, sae, changes, directions.as_ref(), columns).map(Change::Features)
        }
    }
}

/// The columns of captured activations that belong to `columns` of the edited one.
fn cached(edit: &Edit, rows: &CachedRows, columns: &Columns, config: &ModelConfig) -> Result<CachedPart, EngineError> {
    let Columns::Range(columns) = columns else {
        return Err(edit.misfit("listed units can be set, scaled or added to, and nothing else".into()));
    };
    let all = config.site_columns(edit.site, 0);
    let width = rows.cache.width(rows.site)?;
    if is_over_keys(edit.site) || width != all.len() {
        return Err(edit.misfit(format!("it patches activations of {}, which have another width", rows.site)));
    }
    let ascending = rows.rows.windows(2).all(|pair| pair[0].0 < pair[1].0);
    if rows.rows.is_empty() || !ascending {
        return Err(edit.misfit("it patches no position, or positions that are not ascending".into()));
    }
    if let Some((position, _)) = rows.rows.last().filter(|(position, _)| *position >= config.context) {
        return Err(edit.misfit(format!("it patches position {position}, beyond the model's context")));
    }
    if let Some((_, row)) = rows.rows.iter().find(|(_, row)| *row as usize >= rows.cache.rows()) {
        return Err(edit.misfit(format!("it patches in row {row} of {} that were captured", rows.cache.rows())));
    }
    Ok(CachedPart { rows: rows.clone(), columns: columns.start - all.start..columns.end - all.start })
}

impl PlannedEdit {
    /// The run whose activations it puts in.
    pub fn cache(&self) -> Option<&Arc<RunCache>> {
        match &self.change {
            Change::PatchFrom(from) | Change::Displace { from, .. } => Some(&from.rows.cache),
            _ => None,
        }
    }
}

fn features(
    edit: &Edit,
    sae: &Dictionary,
    changes: &Arc<[(u32, FeatureChange)]>,
    directions: Option<&Arc<[f32]>>,
    columns: &Columns,
) -> Result<FeatureChanges, EngineError> {
    if edit.part != Part::All {
        return Err(edit.misfit("features are of the whole activation, and not of a part of it".into()));
    }
    sae.check(edit.site, columns.len())?;
    let numbers: Vec<u32> = changes.iter().map(|&(feature, _)| feature).collect();
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if !(1..=MOST_FEATURES).contains(&numbers.len()) || sorted.len() != numbers.len() {
        return Err(edit.misfit(format!("it lists no feature, or one twice, or more than {MOST_FEATURES}")));
    }
    for (_, change) in changes.iter() {
        change.check().map_err(|what| edit.misfit(what))?;
    }
    let (encoder, in_encoder) = sae.part(edit.site, &numbers)?;
    let own = || numbers.iter().flat_map(|&feature| sae.sae.direction(feature as usize)).copied().collect();
    let directions: Arc<[f32]> = directions.cloned().unwrap_or_else(own);
    if directions.len() != numbers.len() * columns.len() {
        return Err(edit.misfit("it writes by other directions than it lists features".into()));
    }
    finite(edit, directions.iter())?;
    let changes = in_encoder.into_iter().zip(changes.iter()).map(|(feature, (_, change))| (feature, *change)).collect();
    Ok(FeatureChanges { encoder, changes, directions })
}

/// The unit vector along `direction`.
fn unit(edit: &Edit, direction: &[f32]) -> Result<Arc<[f32]>, EngineError> {
    let length = direction.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
    if length == 0.0 {
        return Err(edit.misfit("its direction is zero".into()));
    }
    Ok(direction.iter().map(|&v| (f64::from(v) / length) as f32).collect())
}

fn finite<'a>(edit: &Edit, numbers: impl IntoIterator<Item = &'a f32>) -> Result<(), EngineError> {
    match numbers.into_iter().all(|number| number.is_finite()) {
        true => Ok(()),
        false => Err(edit.misfit("its numbers are not all finite".into())),
    }
}
