//! The schema of a recipe, and what a valid one is.

use crate::{Code, Direction, Edit, FEATURE_EDITS_LIMIT, FeatureEdit, Features, Patching, Probe};
use serde::{Deserialize, Serialize};
use tiller_sites::{ModelRef, Sampling};

/// The version that this program writes, and the newest that it reads.
/// 2 added operations, parts and conditions to edits, the repetition penalty, and the lens. 3 added probes, patching,
/// the shelf and features. 4 added edits of features. 5 added the tuned lens and compact directions.
pub const VERSION: u32 = 5;

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
    /// After the other edits, in the order in which they act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feature_edits: Vec<FeatureEdit>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub lens: Lens,
    /// Vectors that no edit uses, to be compared and combined.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shelf: Vec<Shelved>,
    #[serde(default, skip_serializing_if = "is_default_patching")]
    pub patch: Patching,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
    #[serde(default, skip_serializing_if = "is_default_features")]
    pub features: Features,
    /// The backend the tokens were written on ("gpu" or "cpu"); another may round differently.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
}

fn is_default(lens: &Lens) -> bool {
    *lens == Lens::default()
}

fn is_default_patching(patch: &Patching) -> bool {
    *patch == Patching::default()
}

fn is_default_features(features: &Features) -> bool {
    *features == Features::default()
}

/// The view that a link opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    #[default]
    Steer,
    Vectors,
    Lens,
    Probes,
    Patch,
    Features,
    Models,
}

impl View {
    /// As its tab is called.
    pub fn title(self) -> &'static str {
        match self {
            View::Steer => "Steer",
            View::Vectors => "Vectors",
            View::Lens => "Lens",
            View::Probes => "Probes",
            View::Patch => "Patch",
            View::Features => "Features",
            View::Models => "Models",
        }
    }
}

/// What the lens is asked beside the prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lens {
    /// The tokens that are followed through the layers, each as it is spelt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub follow: Vec<String>,
    /// Whether the edits act on what it reads.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edited: bool,
    /// Whether it is a tuned lens, trained with the usual options on the texts that come with the program: whoever opens
    /// a link trains the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tuned: bool,
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

/// A vector that is kept to be compared with others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shelved {
    /// The model that it was read from: repository and file. It means nothing in another.
    pub model: String,
    #[serde(flatten)]
    pub vector: Vector,
}

/// Why a recipe cannot be used. Each message says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    #[error("this link is damaged ({0}): ask for it again, and copy it whole")]
    Damaged(String),
    #[error("this link is too large ({0}): ask for the experiment as a file")]
    TooLarge(String),
    #[error(
        "this experiment was made by a newer version of Tiller (format {found}, this page reads up to {VERSION}): reload the page to get the new version"
    )]
    Newer { found: u32 },
    #[error("this experiment cannot be used: {0}")]
    Invalid(String),
}

/// The longest document, in bytes of JSON.
pub(crate) const DOCUMENT_LIMIT: usize = 1 << 20;

/// The most that a recipe may hold: enough for any experiment that a person reads, and little enough that no link can
/// fill a tab's memory or keep it busy.
pub(crate) mod limits {
    pub const PAIRS: usize = 256;
    pub const TURNS: usize = 64;
    pub const VECTORS: usize = 16;
    pub const EDITS: usize = 16;
    pub const SHELF: usize = 24;
    pub const FOLLOWED: usize = 6;
    pub const CONTROLS: u32 = 16;
    pub const LISTED_POSITIONS: usize = 256;
    pub const UNITS: usize = 4096;
    pub const TEXT_CHARS: usize = 20_000;
    pub const ROWS: usize = 2000;
    pub const ROW_CHARS: usize = 4000;
    pub const NAME_CHARS: usize = 200;
    pub const LAYERS: u32 = 1024;
    pub const MAX_TOKENS: u32 = 4096;
    pub const STRENGTH: f32 = 100.0;
    pub const TEMPERATURE: f32 = 10.0;
}

const ROLES: [&str; 3] = ["system", "user", "assistant"];

impl Recipe {
    /// The document as JSON, without line breaks. Errors when it is not valid.
    pub fn to_json(&self) -> Result<String, RecipeError> {
        self.validate()?;
        serde_json::to_string(self).map_err(|error| RecipeError::Invalid(error.to_string()))
    }

    /// A valid recipe, or why the document is none. The version is looked at before anything else: a newer document may
    /// differ in every other field.
    pub fn from_json(json: &str) -> Result<Recipe, RecipeError> {
        #[derive(Deserialize)]
        struct Version {
            tiller: u32,
        }
        if json.len() > DOCUMENT_LIMIT {
            return Err(RecipeError::TooLarge(format!("{} bytes of at most {DOCUMENT_LIMIT}", json.len())));
        }
        // What is wrong may be a name of any length, which the error repeats.
        let unreadable = |error: serde_json::Error| RecipeError::Invalid(error.to_string().chars().take(300).collect());
        let Version { tiller: found } = serde_json::from_str(json).map_err(unreadable)?;
        if found > VERSION {
            return Err(RecipeError::Newer { found });
        }
        let recipe: Recipe = serde_json::from_str(json).map_err(unreadable)?;
        recipe.validate()?;
        Ok(recipe)
    }

    /// The same experiment with every vector in a compact code.
    pub fn compacted(&self, code: Code) -> Recipe {
        let mut recipe = self.clone();
        let on_shelf = recipe.shelf.iter_mut().map(|shelved| &mut shelved.vector);
        for vector in recipe.vectors.iter_mut().chain(on_shelf) {
            vector.direction = vector.direction.compacted(code);
        }
        recipe
    }

    /// The largest error of its compact vectors ([`Direction::code`]); `None` where it has none.
    pub fn code_error(&self) -> Option<f32> {
        let vectors = self.vectors.iter().chain(self.shelf.iter().map(|shelved| &shelved.vector));
        vectors.filter_map(|vector| vector.direction.code()).map(|(_, error)| error).max_by(f32::total_cmp)
    }

    /// Checks every count, length and number against what a recipe may hold. Whether the model has the layers that are
    /// named is only known once it is loaded.
    pub fn validate(&self) -> Result<(), RecipeError> {
        self.check().map_err(RecipeError::Invalid)
    }

    fn check(&self) -> Result<(), String> {
        within("version", self.tiller, 1..=VERSION)?;
        self.model.validate().map_err(|error| error.to_string())?;
        within("number of tokens", self.max_tokens, 1..=limits::MAX_TOKENS)?;
        within("temperature", self.sampling.temperature, 0.0..=limits::TEMPERATURE)?;
        within("top-p", self.sampling.top_p, 0.0..=1.0)?;
        within("repetition penalty", self.sampling.repetition_penalty, 0.1..=10.0)?;
        self.prompt.check()?;
        at_most("pairs", self.pairs.len(), limits::PAIRS)?;
        for pair in &self.pairs {
            at_most("text of a pair", pair.positive.chars().count(), limits::TEXT_CHARS)?;
            at_most("text of a pair", pair.negative.chars().count(), limits::TEXT_CHARS)?;
        }
        at_most("vectors", self.vectors.len(), limits::VECTORS)?;
        self.vectors.iter().try_for_each(Vector::check)?;
        at_most("edits", self.edits.len(), limits::EDITS)?;
        self.edits.iter().try_for_each(|edit| edit.check(self.vectors.len()))?;
        at_most("edits of features", self.feature_edits.len(), FEATURE_EDITS_LIMIT)?;
        at_most("edits in all", self.edits.len() + self.feature_edits.len(), limits::EDITS)?;
        self.feature_edits.iter().try_for_each(FeatureEdit::check)?;
        at_most("tokens that the lens follows", self.lens.follow.len(), limits::FOLLOWED)?;
        for token in &self.lens.follow {
            at_most("spelling of a token that the lens follows", token.chars().count(), limits::NAME_CHARS)?;
        }
        at_most("vectors on the shelf", self.shelf.len(), limits::SHELF)?;
        for Shelved { model, vector } in &self.shelf {
            at_most("model of a vector", model.chars().count(), 2 * limits::NAME_CHARS)?;
            vector.check()?;
        }
        self.patch.check()?;
        self.probe.as_ref().map_or(Ok(()), Probe::check)?;
        self.features.check()?;
        at_most("name of the backend", self.backend.iter().map(String::len).sum(), limits::NAME_CHARS)
    }
}

impl Prompt {
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Prompt::Text(text) => at_most("prompt", text.chars().count(), limits::TEXT_CHARS),
            Prompt::Chat(turns) => {
                at_most("turns", turns.len(), limits::TURNS)?;
                turns.iter().try_for_each(Turn::check)
            }
        }
    }
}

impl Turn {
    fn check(&self) -> Result<(), String> {
        if !ROLES.contains(&self.role.as_str()) {
            return Err("a turn is by nobody: its role must be system, user or assistant".into());
        }
        at_most("text of a turn", self.content.chars().count(), limits::TEXT_CHARS)
    }
}

impl Vector {
    fn check(&self) -> Result<(), String> {
        at_most("name of a vector", self.name.chars().count(), limits::NAME_CHARS)?;
        at_most("method of a vector", self.method.chars().count(), limits::NAME_CHARS)?;
        within("layer of a vector", self.layer, 0..=limits::LAYERS - 1)?;
        within("length of a vector", self.norm, 0.0..=f32::MAX)?;
        within("typical length at a vector's layer", self.typical_norm, 0.0..=f32::MAX)
    }
}

pub(crate) fn at_most(what: &str, found: usize, limit: usize) -> Result<(), String> {
    if found <= limit { Ok(()) } else { Err(format!("{what}: {found}, where at most {limit} are allowed")) }
}

/// NaN lies in no range, so what is no number is refused too.
pub(crate) fn within<T>(what: &str, found: T, range: std::ops::RangeInclusive<T>) -> Result<(), String>
where
    T: PartialOrd + std::fmt::Display,
{
    if range.contains(&found) {
        return Ok(());
    }
    Err(format!("the {what} is {found}, which is not between {} and {}", range.start(), range.end()))
}
