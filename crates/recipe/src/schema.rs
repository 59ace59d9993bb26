//! The schema of a recipe, and what a valid one is.

use crate::Direction;
use serde::{Deserialize, Serialize};
use tiller_sites::{ModelRef, Positions, Sampling, Site};

/// The version that this program writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// An experiment, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Of the schema; see [`VERSION`].
    pub tiller: u32,
    pub model: ModelRef,
    #[serde(default)]
    pub view: View,
    pub prompt: Prompt,
    #[serde(default)]
    pub sampling: Sampling,
    /// How many tokens to write.
    pub max_tokens: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<Pair>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vectors: Vec<Vector>,
    /// In the order in which they act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
    /// The backend the tokens were written on ("gpu" or "cpu"); another may round differently.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
}

/// The view that a link opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    #[default]
    Steer,
    Models,
}

/// What the model is given to go on from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prompt {
    /// Raw text, to be continued.
    Text(String),
    /// A conversation, rendered with the model's own chat template.
    Chat(Vec<Turn>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// `system`, `user` or `assistant`.
    pub role: String,
    pub content: String,
}

/// Two texts that differ in the concept a vector is to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    pub positive: String,
    pub negative: String,
}

/// A steering vector at one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vector {
    pub name: String,
    /// How it was made ("mean-diff").
    pub method: String,
    /// The block at whose output it was read.
    pub layer: u32,
    pub direction: Direction,
    /// L2 length of the difference before it was made a unit direction.
    pub norm: f32,
    /// Mean L2 norm of the residual stream there, over the examples: the unit in which strengths are stated.
    pub typical_norm: f32,
}

/// A vector added to an activation: `x += strength * typical_norm * direction`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    pub source: Source,
    pub site: Site,
    /// In multiples of the vector's `typical_norm`.
    pub strength: f32,
    #[serde(default)]
    pub positions: Positions,
}

/// Which direction an edit adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The recipe's vector of this index.
    Vector(usize),
    /// The control: a random direction of the same width and length as the vector of this index.
    Random { like: usize, seed: u32 },
}

impl Source {
    /// The index of the vector that this source is, or is the control of.
    pub fn vector(self) -> usize {
        match self {
            Source::Vector(index) | Source::Random { like: index, .. } => index,
        }
    }
}

/// Why a recipe cannot be used. Each message says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    #[error("this link is damaged ({0}): ask for it again, and copy it whole")]
    Damaged(String),
    #[error("this link is too large ({0}): ask for the experiment as a file")]
    TooLarge(String),
    #[error("this experiment was made by a newer version of Tiller (format {found}, this page reads up to {VERSION}): reload the page to get the new version")]
    Newer { found: u32 },
    #[error("this experiment cannot be used: {0}")]
    Invalid(String),
}
