//! Sparse autoencoders on a model: what their features are of a text, what a feature does, and how far the SAE can be
//! trusted.
//!
//! The first token of a text counts nowhere but where tokens are listed one by one: many models rest their attention on
//! it, its activation is many times as long as any other, and SAEs are trained without it.

mod ablated;
mod baselines;
mod bias;
mod card;
mod contrast;
mod dark_matter;
mod facets;
mod feature_lengths;
mod feature_logits;
mod gating;
mod held_out;
mod labels;
mod placed;
mod principal_subspace;
mod reconstruction;
mod rows;
mod sentences;
mod similar_rows;
mod spliced;
mod steadiness;
mod steered;
mod text_features;
mod together;
mod token_kinds;

pub use ablated::{AblatedFeature, FeatureAblation, feature_ablation};
pub use bias::{ConceptBias, ConceptCode, concept_bias, concept_code, concept_directions, spearman};
pub use card::{CardTexts, ModelLoss, Pursuit, Reconstruction, SaeCard, SplicedLoss, sae_card};
pub use contrast::{ContrastedFeature, SaeContrast, sae_contrast};
pub use dark_matter::{DarkMatter, LinearErrors};
pub use facets::{Facets, facets};
pub use feature_lengths::FeatureLengths;
pub use feature_logits::{FeatureLogits, NearFeature, feature_logits, nearest_features};
pub use gating::{FeatureSteering, Gating, GatingEvidence, GatingQuestion, PlacedDictionary, gatings};
pub use held_out::{HeldOut, held_out};
pub use labels::{Label, LabelToken, LabelTokens, Labeller, label_tokens};
pub use placed::PlacedSae;
pub use sentences::{Sentence, SentenceFeature, sentence_features};
pub use similar_rows::{ReadTexts, SimilarRow, SimilarRows, SimilarRowsOptions, similar_rows};
pub use steadiness::{Steadiness, SteadinessReport, SteadinessTexts, steadiness};
pub use steered::{
    FeatureTokens, SteeredChoice, SteeredFeature, SteeredPlan, SteeredReading, SteeredStrength, steered_features,
};
pub use text_features::{FeatureInText, FeatureReading, FeatureValue, TextFeatures, TokenFeatures, text_features};
pub use together::{CoActivity, Together, histogram};
pub use token_kinds::token_class;
