//! Sparse autoencoders on a model: what their features are of a text, what a feature does, and how far the SAE can be
//! trusted.
//!
//! The first token of a text counts nowhere but where tokens are listed one by one: many models rest their attention on
//! it, its activation is many times as long as any other, and SAEs are trained without it.

mod baselines;
mod card;
mod contrast;
mod feature_logits;
mod gating;
mod held_out;
mod labels;
mod placed;
mod principal_subspace;
mod spliced;
mod text_features;

pub use card::{CardTexts, ModelLoss, Reconstruction, SaeCard, SplicedLoss, sae_card};
pub use contrast::{ContrastedFeature, SaeContrast, sae_contrast};
pub use feature_logits::{FeatureLogits, NearFeature, feature_logits, nearest_features};
pub use gating::{FeatureSteering, Gating, GatingEvidence, GatingQuestion, PlacedDictionary, gatings};
pub use held_out::{HeldOut, held_out};
pub use labels::{Label, LabelToken, LabelTokens, Labeller};
pub use placed::PlacedSae;
pub use text_features::{FeatureInText, FeatureReading, FeatureValue, TextFeatures, TokenFeatures, text_features};
