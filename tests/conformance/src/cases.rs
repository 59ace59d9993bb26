//! The registry.

mod attention;
mod edits;
mod elementwise;
mod limits;
mod norms;
mod replays;
mod sampling;
mod weights;

use crate::Case;

pub fn all() -> Vec<Case> {
    [
        weights::cases(),
        norms::cases(),
        attention::cases(),
        elementwise::cases(),
        edits::cases(),
        sampling::cases(),
        replays::cases(),
        limits::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
