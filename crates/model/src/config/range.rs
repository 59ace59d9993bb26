//! Numbers that a model can have.

use crate::ModelError;
use std::{fmt::Display, ops::RangeInclusive};

/// `found`, where it is in `range`. NaN is in none.
pub(crate) fn within<T: PartialOrd + Display>(
    what: &'static str,
    found: T,
    range: RangeInclusive<T>,
) -> Result<T, ModelError> {
    if range.contains(&found) {
        return Ok(found);
    }
    Err(out_of_range(what, found, format!("{} to {}", range.start(), range.end())))
}

pub(crate) fn require(
    holds: bool,
    what: &'static str,
    found: impl Display,
    wanted: impl Display,
) -> Result<(), ModelError> {
    if holds { Ok(()) } else { Err(out_of_range(what, found, wanted)) }
}

pub(crate) fn out_of_range(what: &'static str, found: impl Display, wanted: impl Display) -> ModelError {
    ModelError::OutOfRange { what, found: found.to_string(), wanted: wanted.to_string() }
}
