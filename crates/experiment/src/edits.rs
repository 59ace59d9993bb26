//! From a recipe's strengths to the engine's coefficients.

use tiller_engine::{Edit, Operation};
use tiller_interp::steer::random_direction;
use tiller_recipe::{RecipeError, Source, Vector};

/// The engine's edits for a recipe's: `coefficient = strength * typical_norm`, along the vector's unit direction or
/// along a random one of the same width.
pub fn resolve_edits(vectors: &[Vector], edits: &[tiller_recipe::Edit]) -> Result<Vec<Edit>, RecipeError> {
    let resolve = |edit: &tiller_recipe::Edit| {
        let index = edit.source.vector();
        let vector = vectors.get(index).ok_or_else(|| {
            RecipeError::Invalid(format!("an edit names vector {index}, but there are only {}", vectors.len()))
        })?;
        let direction = match edit.source {
            Source::Vector(_) => vector.direction.to_f32(),
            Source::Random { seed, .. } => random_direction(seed.into(), vector.direction.width()),
        };
        let operation = Operation::Add { vector: direction.into(), coefficient: edit.strength * vector.typical_norm };
        Ok(Edit { site: edit.site, operation, positions: edit.positions.clone() })
    };
    edits.iter().map(resolve).collect()
}
