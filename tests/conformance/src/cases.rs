//! The registry.

mod attention;
mod captures;
mod conditions;
mod dense;
mod edit_columns;
mod edit_directions;
mod edit_stored;
mod edits;
mod elementwise;
mod faults;
mod features;
mod head_results;
mod limits;
mod long_texts;
mod norms;
mod penalty;
mod picks;
mod reductions;
mod refusals;
mod replays;
mod sampling;
mod token_logits;
mod training;
mod vocabularies;
mod weights;

use crate::Case;

pub fn all() -> Vec<Case> {
    [
        weights::cases(),
        norms::cases(),
        picks::cases(),
        attention::cases(),
        long_texts::cases(),
        head_results::cases(),
        elementwise::cases(),
        edits::cases(),
        edit_columns::cases(),
        edit_directions::cases(),
        edit_stored::cases(),
        features::cases(),
        dense::cases(),
        training::cases(),
        conditions::cases(),
        captures::cases(),
        penalty::cases(),
        reductions::cases(),
        refusals::cases(),
        sampling::cases(),
        token_logits::cases(),
        replays::cases(),
        limits::cases(),
        vocabularies::cases(),
        faults::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
