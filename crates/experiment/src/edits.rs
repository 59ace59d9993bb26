//! From a recipe's strengths to the engine's coefficients.

use crate::{PromptError, Session};
use std::sync::Arc;
use tiller_engine::{Condition, Controls, Edit, EngineError, Harvest, Operation, Part, PatchRows, TapRows, Test};
use tiller_interp::steer::random_direction;
use tiller_recipe::{RecipeError, Source, Vector};

/// Why a recipe's edits cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error(transparent)]
    Prompt(#[from] PromptError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Session {
    /// The engine's edits for a recipe's. What a patch takes from another prompt is read now, by running that prompt.
    pub async fn resolve_edits(
        &mut self,
        vectors: &[Vector],
        edits: &[tiller_recipe::Edit],
        controls: &impl Controls,
    ) -> Result<Vec<Edit>, EditError> {
        let mut resolved = Vec::with_capacity(edits.len());
        for edit in edits {
            resolved.push(match &edit.operation {
                tiller_recipe::Operation::Patch { from, positions } => {
                    let prompt = self.tokens(from)?;
                    let rows = self.read_rows(edit, prompt, positions, controls).await?;
                    with_operation(vectors, edit, Operation::Patch { rows, coefficient: edit.strength })?
                }
                _ => resolve_edit(vectors, edit)?,
            });
        }
        Ok(resolved)
    }

    /// The activations at the edit's part of its site in `prompt`, for pairs of a position there and one here.
    async fn read_rows(
        &mut self,
        edit: &tiller_recipe::Edit,
        prompt: Vec<u32>,
        positions: &[(u32, u32)],
        controls: &impl Controls,
    ) -> Result<Arc<PatchRows>, EditError> {
        let config = self.engine.config();
        config.check_site(edit.site).map_err(EngineError::from)?;
        if tiller_model::is_over_keys(edit.site) {
            let what = format!("{} cannot be patched from another prompt: patch attn.hook_z instead", edit.site);
            return Err(RecipeError::Invalid(what).into());
        }
        let width = config.site_width(edit.site, 0) as usize;
        let part = match (&edit.part, config.site_heads(edit.site)) {
            (tiller_recipe::Part::Head(head), Some(heads)) if *head < heads => {
                let size = width / heads as usize;
                *head as usize * size..(*head as usize + 1) * size
            }
            _ => 0..width,
        };
        if let Some((beyond, _)) = positions.iter().find(|&&(from, _)| from as usize >= prompt.len()) {
            let what = format!("a patch reads position {beyond} of a prompt of {} tokens", prompt.len());
            return Err(RecipeError::Invalid(what).into());
        }
        let mut rows = PatchRows::default();
        let what = Harvest { prompts: &[prompt], sites: &[edit.site], rows: TapRows::All, edits: &[] };
        let sink = |reading: tiller_engine::Reading<'_>| {
            for &(_, to) in positions.iter().filter(|(from, _)| *from == reading.position) {
                rows.0.push((to, reading.values[part.clone()].to_vec()));
            }
        };
        self.engine.harvest(&what, controls, |_, _| {}, sink).await?;
        Ok(Arc::new(rows))
    }
}

/// The engine's edit for one of a recipe that needs no other run: all but a patch.
pub fn resolve_edit(vectors: &[Vector], edit: &tiller_recipe::Edit) -> Result<Edit, RecipeError> {
    use tiller_recipe::Operation as Stated;
    let strength = edit.strength;
    let direction = || directed(vectors, edit.source).map(Arc::from);
    let operation = match &edit.operation {
        Stated::Add => Operation::Add { vector: direction()?, coefficient: strength * strength_unit(vectors, edit) },
        Stated::Set if edit.source == Source::None => Operation::Zero { coefficient: strength },
        Stated::Set => {
            let values = times(directed(vectors, edit.source)?, named(vectors, edit.source)?.norm);
            Operation::Set { values: values.into(), coefficient: strength }
        }
        Stated::Scale => Operation::Scale { factor: strength },
        Stated::Rescale => Operation::Rescale { direction: direction()?, factor: strength },
        Stated::Cap { low, high } => {
            let unit = named(vectors, edit.source)?.typical_norm;
            Operation::Cap { direction: direction()?, low: low * unit, high: high * unit }
        }
        Stated::Suppress => Operation::Suppress { direction: direction()?, strength },
        Stated::Map { read, write, offsets } => {
            let stacked = |indices: &[usize]| -> Result<Arc<[f32]>, RecipeError> {
                let mut all = Vec::new();
                for &index in indices {
                    all.extend(whole(vectors, index)?);
                }
                Ok(all.into())
            };
            let offsets = (!offsets.is_empty()).then(|| offsets.as_slice().into());
            Operation::Map { read: stacked(read)?, write: stacked(write)?, offsets, coefficient: strength }
        }
        Stated::Patch { .. } => return Err(RecipeError::Invalid("a patch needs a model to read from".into())),
    };
    with_operation(vectors, edit, operation)
}

/// What a strength of 1 stands for: an addition's strength is in multiples of the vector's typical norm.
pub fn strength_unit(vectors: &[Vector], edit: &tiller_recipe::Edit) -> f32 {
    match (&edit.operation, edit.source.vector().and_then(|index| vectors.get(index))) {
        (tiller_recipe::Operation::Add, Some(vector)) => vector.typical_norm,
        _ => 1.0,
    }
}

fn with_operation(vectors: &[Vector], edit: &tiller_recipe::Edit, operation: Operation) -> Result<Edit, RecipeError> {
    let part = match &edit.part {
        tiller_recipe::Part::All => Part::All,
        tiller_recipe::Part::Head(head) => Part::Head(*head),
        tiller_recipe::Part::Units(units) => Part::Units(units.as_slice().into()),
    };
    let condition = match &edit.condition {
        None => None,
        Some(tiller_recipe::Condition::Token(tokens)) => Some(Condition::Token(tokens.as_slice().into())),
        Some(tiller_recipe::Condition::Activation { site, test, vector, above, threshold, positions, latched }) => {
            let vector = whole(vectors, *vector)?.into();
            Some(Condition::Activation {
                site: *site,
                test: match test {
                    tiller_recipe::Test::Probe { bias } => Test::Probe { vector, bias: *bias },
                    tiller_recipe::Test::Cosine => Test::Cosine { vector },
                    tiller_recipe::Test::CosineToProjection => Test::CosineToProjection { vector },
                },
                above: *above,
                threshold: *threshold,
                positions: positions.clone(),
                latched: *latched,
            })
        }
    };
    Ok(Edit { site: edit.site, part, operation, positions: edit.positions.clone(), condition })
}

fn named(vectors: &[Vector], source: Source) -> Result<&Vector, RecipeError> {
    let none = || RecipeError::Invalid("an edit names no vector, and cannot do without".into());
    at(vectors, source.vector().ok_or_else(none)?)
}

fn at(vectors: &[Vector], index: usize) -> Result<&Vector, RecipeError> {
    let beyond = || RecipeError::Invalid(format!("an edit names vector {index}, but there are only {}", vectors.len()));
    vectors.get(index).ok_or_else(beyond)
}

/// The unit direction of a source: the vector's, or a random one of the same width.
fn directed(vectors: &[Vector], source: Source) -> Result<Vec<f32>, RecipeError> {
    let vector = named(vectors, source)?;
    Ok(match source {
        Source::Random { seed, .. } => random_direction(seed.into(), vector.direction.width()),
        _ => vector.direction.to_f32(),
    })
}

/// The vector at its own length.
fn whole(vectors: &[Vector], index: usize) -> Result<Vec<f32>, RecipeError> {
    let vector = at(vectors, index)?;
    Ok(times(vector.direction.to_f32(), vector.norm))
}

fn times(values: Vec<f32>, factor: f32) -> Vec<f32> {
    values.into_iter().map(|value| value * factor).collect()
}
