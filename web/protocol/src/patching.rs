//! What patching, attribution and ablation show.

use crate::PromptToken;
use serde::{Deserialize, Serialize};

/// What a job of [`crate::Request::Patch`] has found, piece by piece.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PatchStep {
    /// First, once; the prompts may yet turn out not to fit one another.
    Prompts(PatchPrompts),
    /// Of patching, before any cell.
    Baseline(Baseline),
    /// In place of a baseline: the model tells the prompts apart too little for shares of the difference to mean anything.
    TooAlike {
        clean: f64,
        corrupt: f64,
    },
    Cells(Vec<PatchCell>),
    Attribution(Attribution),
    /// Of ablation, before any layer: the logit difference and the neutral text's perplexity of the whole model.
    Whole {
        difference: f64,
        perplexity: Option<f64>,
    },
    Ablated(AblatedLayer),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PatchPrompts {
    pub clean: Vec<PromptToken>,
    pub corrupt: Vec<PromptToken>,
    pub layers: u32,
    pub heads: u32,
}

/// The logit difference of the two answers after each prompt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    pub clean: f64,
    pub corrupt: f64,
    /// The first position at which the prompts differ.
    pub first_difference: u32,
    /// Positions or heads.
    pub columns: u32,
}

/// One place, patched. Effects are shares of the difference between the two prompts' logit differences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatchCell {
    pub layer: u32,
    /// A position, or a head.
    pub column: u32,
    /// The patched run's logit difference.
    pub difference: f64,
    pub effect: f64,
    /// The same for each random control.
    pub controls: Vec<f64>,
}

/// A logit difference, taken apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attribution {
    pub difference: f64,
    /// In the order of the pass: together the difference.
    pub shares: Vec<AttributionShare>,
}

/// What a part adds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttributionShare {
    /// As people call it.
    pub part: String,
    /// Where it is a head, which one.
    pub head: Option<(u32, u32)>,
    pub value: f64,
}

/// What the ablations of one block change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AblatedLayer {
    pub layer: u32,
    pub heads: Vec<Effect>,
    /// As many random units of the same layer; one for each seed.
    pub head_controls: Vec<Effect>,
    pub mlp: Effect,
    /// A random direction, as long as what the MLP adds.
    pub mlp_controls: Vec<Effect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// What it adds to the logit difference.
    pub difference: f64,
    /// The factor of the neutral text's perplexity.
    pub perplexity: Option<f64>,
}

/// Where the heads of a layer look.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    pub layer: u32,
    pub tokens: Vec<PromptToken>,
    /// `[head][token that looks][token up to it]`.
    pub heads: Vec<Vec<Vec<f32>>>,
}
