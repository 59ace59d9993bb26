//! Edits in words, for people who did not make them.

use crate::{Condition, Edit, Operation, Part, Source, Test, Vector};
use tiller_sites::Positions;

impl Edit {
    /// One sentence without its full stop: what is done, where, and when. `vectors` are those that the edit names.
    pub fn in_words(&self, vectors: &[Vector]) -> String {
        let what = self.what(vectors);
        let part = match &self.part {
            Part::All => String::new(),
            Part::Head(head) => format!(" (head {head})"),
            Part::Units(units) => format!(" ({} of its numbers)", units.len()),
        };
        let at = positions(&self.positions);
        let when = self.condition.as_ref().map(|condition| format!(", {}", condition.in_words(vectors)));
        format!("{what} at {}{part}, {at}{}", self.site, when.unwrap_or_default())
    }

    fn what(&self, vectors: &[Vector]) -> String {
        let strength = self.strength;
        let source = match self.source {
            Source::None => "nothing".into(),
            Source::Vector(index) => named(vectors, index),
            Source::Random { seed, .. } => format!("random direction {seed}"),
        };
        match &self.operation {
            Operation::Add => format!("adds {source} at {strength}×"),
            Operation::Set => format!("puts {source} in place of what is there, to a share of {strength},"),
            Operation::Scale => format!("multiplies what is there by {strength}"),
            Operation::Rescale if strength == 0.0 => format!("takes out what lies along {source}"),
            Operation::Rescale => format!("multiplies what lies along {source} by {strength}"),
            Operation::Cap { low, high } => format!("keeps what lies along {source} between {low}× and {high}×"),
            Operation::Suppress => format!("takes away what lies along {source}, keeping the length,"),
            Operation::Map { read, .. } => format!("applies a map of rank {} at {strength}×", read.len()),
            Operation::Patch { positions, .. } => {
                format!("puts in activations of another prompt ({} tokens)", positions.len())
            }
        }
    }
}

impl Condition {
    /// "where ...".
    pub fn in_words(&self, vectors: &[Vector]) -> String {
        match self {
            Condition::Token(tokens) => format!("where the token is one of {}", tokens.len()),
            Condition::Activation { site, test, vector, above, threshold, positions: at, latched } => {
                let side = if *above { "above" } else { "below" };
                let of = named(vectors, *vector);
                let number = match test {
                    Test::Probe { .. } => format!("the probe {of}"),
                    Test::Cosine => format!("the cosine with {of}"),
                    Test::CosineToProjection => format!("the cosine with tanh of the projection onto {of}"),
                };
                let begin = if *latched { "from where" } else { "where" };
                let then = if *latched { " on" } else { "" };
                let at = match at {
                    Positions::All => String::new(),
                    other => format!(" {}", positions(other)),
                };
                format!("{begin} {number} at {site}{at} is {side} {threshold}{then}")
            }
        }
    }
}

/// A vector's name in quotes; its number where it has none.
fn named(vectors: &[Vector], index: usize) -> String {
    match vectors.get(index).map(|vector| vector.name.trim()).filter(|name| !name.is_empty()) {
        Some(name) => format!("“{name}”"),
        None => format!("vector {}", index + 1),
    }
}

fn positions(positions: &Positions) -> String {
    match positions {
        Positions::All => "on every token".into(),
        Positions::Prompt => "on the prompt's tokens".into(),
        Positions::Generated => "on written tokens".into(),
        Positions::Last => "on the prompt's last token".into(),
        Positions::Listed(listed) => format!("on {} listed tokens", listed.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Direction;
    use tiller_sites::Site;

    #[test]
    fn an_edit_under_a_condition_is_said_in_words() {
        let vector = |name: &str| Vector {
            name: name.into(),
            method: "mean-diff".into(),
            layer: 14,
            direction: Direction::along(&[1.0]).unwrap(),
            norm: 1.0,
            typical_norm: 50.0,
        };
        let condition = Condition::Activation {
            site: Site::ResidPost(7),
            test: Test::Cosine,
            vector: 1,
            above: true,
            threshold: 0.125,
            positions: Positions::Last,
            latched: true,
        };
        let edit = Edit { condition: Some(condition), ..Edit::add(Source::Vector(0), Site::ResidPost(14), 0.2) };
        assert_eq!(
            edit.in_words(&[vector("Casual"), vector("Cooking")]),
            "adds “Casual” at 0.2× at blocks.14.hook_resid_post, on every token, from where the cosine with “Cooking” at \
             blocks.7.hook_resid_post on the prompt's last token is above 0.125 on"
        );
        let out =
            Edit { operation: Operation::Rescale, strength: 0.0, source: Source::Random { like: 0, seed: 3 }, ..edit };
        let out = Edit { condition: Some(Condition::Token(vec![4, 5])), part: Part::Head(2), ..out };
        assert_eq!(
            out.in_words(&[]),
            "takes out what lies along random direction 3 at blocks.14.hook_resid_post (head 2), on every token, where the \
             token is one of 2"
        );
    }
}
