//! A recipe on a loaded model.
//!
//! A recipe speaks of texts and strengths; the engine speaks of token ids and coefficients. The step between is taken
//! here, once, so that the page and the native program run a recipe with the same numbers.

mod edits;
mod feature_edits;
pub mod finding;
mod function_prompts;
mod lens_texts;
mod look_alikes;
mod probe_texts;
mod prompt;
mod sae_place;
mod self_check;
mod session;
mod stretches;
mod tuning;
mod vector_file;
mod warm_up;

pub use edits::{EditError, resolve_edit, strength_unit};
pub use feature_edits::resolve_feature_edits;
pub use function_prompts::{FEWEST_WORD_PAIRS, FunctionPromptsError};
pub use lens_texts::lens_texts;
pub use look_alikes::look_alikes;
pub use probe_texts::{ClassTexts, ProbeTexts, ProbeTextsError, read_at};
pub use prompt::PromptError;
pub use sae_place::{SaePlace, SaePlaceError};
pub use self_check::{SELF_CHECK_TOLERANCE, self_check};
pub use session::{LoadError, ModelFacts, Session};
pub use stretches::Stretches;
pub use tiller_sites::VectorNumbering;
pub use tuning::{Tuned, tune};
pub use vector_file::{ControlVectorFile, VectorAtLayer, VectorFileError, VectorOrigin};

/// Tokens of the neutral text that say what an ablation costs: few, since each head reads them once more.
pub const ABLATION_NEUTRAL_TOKENS: usize = 24;

/// Tokens of context for all texts that are written side by side, where nothing else is asked for. SmolLM2's KV cache
/// then takes 94 MB.
pub const DEFAULT_CONTEXT: u32 = 2048;
