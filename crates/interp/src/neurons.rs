//! Neurons of an MLP, by what they write.
//!
//! A neuron adds its value vector, times its activation, to the residual stream (Geva et al. 2021, "Transformer
//! Feed-Forward Layers Are Key-Value Memories"; Geva et al. 2022, "Transformer Feed-Forward Layers Build Predictions by
//! Promoting Concepts in the Vocabulary Space"). In the vocabulary's terms that says what it writes; whether the model
//! uses it so is for clamping to show, beside random neurons that write as much.

mod activity;
mod clamp;
mod value_vectors;

pub use activity::{ActiveNeuron, most_active};
pub use clamp::{Clamped, Clamping, clamp};
pub(crate) use value_vectors::logits_of;
pub use value_vectors::{MATCHED_AMONG, NeuronWrites, ValueVectors, WordMatch, WrittenToken};
