//! The registry.

mod attention;
mod edits;
mod elementwise;
mod head_results;
mod limits;
mod norms;
mod picks;
mod replays;
mod sampling;
mod weights;

use crate::Case;

pub fn all() -> Vec<Case> {
    [
        weights::cases(),
        norms::cases(),
        picks::cases(),
        attention::cases(),
        head_results::cases(),
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
