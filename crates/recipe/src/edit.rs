//! Edits as a recipe states them.

use crate::Prompt;
use crate::schema::{at_most, limits, within};
use serde::{Deserialize, Serialize};
use tiller_sites::{Positions, Site};

/// A change to the activation at one site. Several act in the order of the recipe; a condition reads its site before any
/// edit there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// The direction or the values that the operation takes, where it takes one.
    #[serde(default, skip_serializing_if = "Source::is_none")]
    pub source: Source,
    pub site: Site,
    /// What a slider moves: see [`Operation`].
    pub strength: f32,
    #[serde(default)]
    pub positions: Positions,
    #[serde(default, skip_serializing_if = "is_default")]
    pub operation: Operation,
    #[serde(default, skip_serializing_if = "is_default")]
    pub part: Part,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
}

/// Which direction or values an edit takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    #[default]
    None,
    /// The recipe's vector of this index.
    Vector(usize),
    /// The control: a random direction of the same width and length as the vector of this index.
    Random { like: usize, seed: u32 },
}

/// What an edit does to the activation `x` of a token. `d` is the source's unit direction, `s` the edit's strength.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// `x + s * typical_norm * d`.
    #[default]
    Add,
    /// `x + s (v - x)`, v the source's direction times its norm, or zeros where there is no source.
    Set,
    /// `s x`.
    Scale,
    /// `x + (s - 1) (x . d) d`: 0 projects the direction out.
    Rescale,
    /// Keeps `x . d` between these multiples of `typical_norm`.
    Cap { low: f32, high: f32 },
    /// `|x| u / |u|`, `u = x - s max(0, x . d) d`.
    Suppress,
    /// `x + s sum_k (read_k . x + offset_k) write_k`: vectors by index, each its direction times its norm; as many
    /// offsets as directions, or none.
    Map { read: Vec<usize>, write: Vec<usize>, offsets: Vec<f32> },
    /// `x + s (v - x)`, v the activation at the same site when the model reads another prompt: pairs of a position there
    /// and one here.
    Patch { from: Prompt, positions: Vec<(u32, u32)> },
}

/// Which numbers of the activation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    #[default]
    All,
    Head(u32),
    Units(Vec<u32>),
}

/// When an edit acts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// On these tokens, by id.
    Token(Vec<u32>),
    /// Where an activation says so.
    Activation {
        site: Site,
        test: Test,
        /// The recipe's vector that the test takes.
        vector: usize,
        above: bool,
        threshold: f32,
        #[serde(default)]
        positions: Positions,
        /// For all later tokens too.
        #[serde(default)]
        latched: bool,
    },
}

/// The number of an activation h that is compared with the threshold. v is the vector's direction times its norm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// `h . v + bias`.
    Probe { bias: f32 },
    /// The cosine of h and v.
    Cosine,
    /// The cosine of h and `tanh(P h)`, P the projection onto v.
    CosineToProjection,
}

impl Source {
    /// The index of the vector that this source is, or is the control of.
    pub fn vector(self) -> Option<usize> {
        match self {
            Source::None => None,
            Source::Vector(index) | Source::Random { like: index, .. } => Some(index),
        }
    }

    fn is_none(&self) -> bool {
        *self == Source::None
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Edit {
    /// Adds the source's direction at every token: what steering usually is.
    pub fn add(source: Source, site: Site, strength: f32) -> Edit {
        Edit {
            source,
            site,
            strength,
            positions: Positions::All,
            operation: Operation::Add,
            part: Part::All,
            condition: None,
        }
    }

    /// The vectors that the edit names, by index; one may come several times.
    pub fn vectors(&self) -> Vec<usize> {
        let mut named: Vec<usize> = self.source.vector().into_iter().collect();
        if let Operation::Map { read, write, .. } = &self.operation {
            named.extend(read.iter().chain(write));
        }
        if let Some(Condition::Activation { vector, .. }) = &self.condition {
            named.push(*vector);
        }
        named
    }

    /// The same edit where the vector that was `i` is `renamed(i)`.
    pub fn with_vectors(mut self, renamed: impl Fn(usize) -> usize) -> Edit {
        self.source = match self.source {
            Source::None => Source::None,
            Source::Vector(index) => Source::Vector(renamed(index)),
            Source::Random { like, seed } => Source::Random { like: renamed(like), seed },
        };
        if let Operation::Map { read, write, .. } = &mut self.operation {
            read.iter_mut().chain(write).for_each(|index| *index = renamed(*index));
        }
        if let Some(Condition::Activation { vector, .. }) = &mut self.condition {
            *vector = renamed(*vector);
        }
        self
    }

    /// Whether it adds its vector to the whole stream, under no condition.
    pub fn is_plain_addition(&self) -> bool {
        self.operation == Operation::Add
            && self.part == Part::All
            && self.condition.is_none()
            && self.source != Source::None
    }

    pub(crate) fn check(&self, vectors: usize) -> Result<(), String> {
        let exists = |index: usize| match index < vectors {
            true => Ok(()),
            false => Err(format!("an edit names vector {index}, and there are {vectors}")),
        };
        self.source.vector().map_or(Ok(()), exists)?;
        layer(self.site)?;
        within("strength", self.strength, -limits::STRENGTH..=limits::STRENGTH)?;
        positions(&self.positions)?;
        match &self.operation {
            Operation::Add | Operation::Rescale | Operation::Suppress | Operation::Cap { .. }
                if self.source == Source::None =>
            {
                return Err("an edit names no vector, and cannot do without".into());
            }
            Operation::Cap { low, high } => {
                within("lower bound of an edit", *low, -limits::STRENGTH..=limits::STRENGTH)?;
                within("upper bound of an edit", *high, *low..=limits::STRENGTH)?;
            }
            Operation::Map { read, write, offsets } => {
                at_most("directions of an edit", read.len().max(write.len()).max(offsets.len()), limits::VECTORS)?;
                read.iter().chain(write).copied().try_for_each(exists)?;
                if read.is_empty() || read.len() != write.len() || !(offsets.is_empty() || offsets.len() == read.len())
                {
                    return Err("an edit's map does not have as many directions to read by as to write by".into());
                }
                offsets.iter().try_for_each(|offset| within("offset of an edit", *offset, f32::MIN..=f32::MAX))?;
            }
            Operation::Patch { from, positions } => {
                from.check()?;
                at_most("positions of an edit", positions.len(), limits::LISTED_POSITIONS)?;
                if positions.is_empty() {
                    return Err("an edit patches no position".into());
                }
            }
            _ => {}
        }
        if let Part::Units(units) = &self.part {
            at_most("units of an edit", units.len(), limits::UNITS)?;
        }
        match &self.condition {
            None => Ok(()),
            Some(Condition::Token(tokens)) => at_most("tokens of a condition", tokens.len(), limits::UNITS),
            Some(Condition::Activation { site, test, vector, threshold, positions: at, .. }) => {
                exists(*vector)?;
                layer(*site)?;
                positions(at)?;
                within("threshold", *threshold, f32::MIN..=f32::MAX)?;
                match test {
                    Test::Probe { bias } => within("bias", *bias, f32::MIN..=f32::MAX),
                    Test::Cosine | Test::CosineToProjection => Ok(()),
                }
            }
        }
    }
}

fn layer(site: Site) -> Result<(), String> {
    within("layer of an edit", site.layer().unwrap_or(0), 0..=limits::LAYERS - 1)
}

fn positions(positions: &Positions) -> Result<(), String> {
    match positions {
        Positions::Listed(listed) => at_most("positions of an edit", listed.len(), limits::LISTED_POSITIONS),
        Positions::All | Positions::Prompt | Positions::Generated | Positions::Last => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(operation: Operation) -> Edit {
        Edit { operation, ..Edit::add(Source::Vector(0), Site::ResidPost(3), 0.5) }
    }

    #[test]
    fn every_edit_comes_back_from_its_json() {
        let prompt = Prompt::Text("The capital of France".into());
        let operations = [
            Operation::Add,
            Operation::Set,
            Operation::Scale,
            Operation::Rescale,
            Operation::Cap { low: -1.0, high: 0.5 },
            Operation::Suppress,
            Operation::Map { read: vec![0], write: vec![1], offsets: vec![0.5] },
            Operation::Patch { from: prompt, positions: vec![(3, 4)] },
        ];
        let conditions = [
            None,
            Some(Condition::Token(vec![3, 7])),
            Some(Condition::Activation {
                site: Site::ResidPre(2),
                test: Test::Probe { bias: 0.25 },
                vector: 1,
                above: true,
                threshold: 0.0,
                positions: Positions::Prompt,
                latched: true,
            }),
        ];
        for operation in operations {
            for condition in &conditions {
                for part in [Part::All, Part::Head(2), Part::Units(vec![5, 1])] {
                    let edit = Edit { condition: condition.clone(), part, ..edit(operation.clone()) };
                    assert_eq!(edit.check(2), Ok(()), "{edit:?}");
                    let json = serde_json::to_string(&edit).unwrap();
                    assert_eq!(serde_json::from_str::<Edit>(&json).unwrap(), edit, "{json}");
                }
            }
        }
    }

    #[test]
    fn an_edit_of_the_first_format_still_reads() {
        let json = r#"{"source":{"vector":0},"site":"blocks.3.hook_resid_post","strength":0.5,"positions":"all"}"#;
        assert_eq!(serde_json::from_str::<Edit>(json).unwrap(), edit(Operation::Add));
        assert_eq!(serde_json::to_string(&edit(Operation::Add)).unwrap(), json);
    }

    #[test]
    fn what_no_edit_can_be_is_refused() {
        let refused = |edit: Edit| assert!(edit.check(1).is_err(), "{edit:?}");
        refused(edit(Operation::Cap { low: 1.0, high: 0.0 }));
        refused(edit(Operation::Cap { low: f32::NAN, high: 0.0 }));
        refused(edit(Operation::Map { read: vec![0], write: vec![1], offsets: vec![] }));
        refused(edit(Operation::Map { read: vec![], write: vec![], offsets: vec![] }));
        refused(edit(Operation::Patch { from: Prompt::Text(String::new()), positions: vec![] }));
        refused(Edit { source: Source::None, ..edit(Operation::Rescale) });
        refused(Edit { source: Source::Vector(1), ..edit(Operation::Add) });
        refused(Edit { part: Part::Units(vec![0; 100_000]), ..edit(Operation::Add) });
    }
}
