//! The experiment as a document.
//!
//! A [`Recipe`] holds everything that an experiment needs to be run again elsewhere: the model file by name and
//! checksum, the prompt, the sampling, the contrasting pairs, the vectors themselves, the edits, and the view to open.
//! It is JSON for people and a URL fragment (deflate, then base64url) for links; fragments are never sent to a server.
//! The page, the native program and the tests read the same recipes. This crate knows nothing of engines or pages.

mod compact;
mod dataset;
mod direction;
mod edit;
mod feature_edit;
mod features;
mod function_task;
mod gallery;
mod grid;
mod link;
mod patching;
mod probe;
mod schema;
mod words;

pub use compact::Code;
pub use dataset::{DATASETS, DatasetError, LabelledText, ShippedDataset, classes, labelled_texts, labelled_texts_by};
pub use direction::Direction;
pub use edit::{Condition, Edit, Operation, Part, Source, Test};
pub use feature_edit::{FEATURE_EDITS_LIMIT, FeatureChange, FeatureEdit, FeatureMode};
pub use features::{Features, HubSae, LABEL_CHARS, LABELS_LIMIT, PINNED_LIMIT, SaeRef, Unsaid};
pub use function_task::{FUNCTION_TASKS, FunctionTask, WordPair, WordPairsError, word_pairs};
pub use gallery::{Exhibit, Finding, GALLERY, findings};
pub use grid::{GRID_MOST_COST, GRID_STRENGTHS, grid_layers};
pub use link::{LINK_LIMIT, from_fragment, to_fragment};
pub use patching::{PatchQuestion, Patching};
pub use probe::{Probe, ProbeData, ReadAt};
pub use schema::{Lens, Pair, Prompt, Recipe, RecipeError, Shelved, Turn, VERSION, Vector, View};

/// The most tokens that a lens may follow.
pub const FOLLOWED_LIMIT: usize = schema::limits::FOLLOWED;

/// The most vectors that a shelf holds.
pub const SHELF_LIMIT: usize = schema::limits::SHELF;
