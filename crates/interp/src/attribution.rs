//! Attribution: an output as the sum of what the model's parts add to it.

mod direct_logit_attribution;

pub use direct_logit_attribution::{Attribution, Component, ComponentShare, direct_logit_attribution};
