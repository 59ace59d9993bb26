//! The data of one step: which tokens run, where their keys and values lie, and how the next tokens are drawn.

use bytemuck::{Pod, Zeroable};

/// Lanes that a device keeps: the number of sequences that can be decoded side by side, and of picks in a step.
pub const LANES: u32 = 32;

/// In [`Row::token`]: the token is the one that the lane in the lower bits drew last.
pub const LANE_BIT: u32 = 1 << 31;

/// Edits that a plan can hold; each has one coefficient a step and one bit in [`Row::edits`].
pub const EDIT_SLOTS: usize = 32;

/// How many of the most probable tokens are reported with a drawn token, where they are asked for.
pub const ALTERNATIVES: usize = 8;

/// One token of a step. Its keys and values are stored at row `kv_start + position` of the cache, and it attends to
/// rows `kv_start ..= kv_start + position`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Row {
    /// A token id, or `LANE_BIT | lane`: the token that this lane drew last. It is read on the GPU, so that a step can
    /// be submitted before the result of the one before it was read.
    pub token: u32,
    /// Position in its sequence, from 0.
    pub position: u32,
    /// First row of its sequence in the key and value cache.
    pub kv_start: u32,
    /// Bit `e` is set where the edit in slot `e` acts on this row.
    pub edits: u32,
}

/// A row whose next token is wanted.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Pick {
    /// Index into the step's rows.
    pub row: u32,
    /// The lane that remembers the token drawn, below [`LANES`].
    pub lane: u32,
    /// How many tokens this sequence has drawn so far: the counter of the noise.
    pub draw: u32,
}

/// How tokens are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// 0 takes the most probable token.
    pub temperature: f32,
    /// Keeps tokens whose logit is at least the `top_k`-th largest; 0 keeps all.
    pub top_k: u32,
    /// Keeps the smallest set of most probable tokens that reaches this share of the tempered distribution.
    pub top_p: f32,
    pub seed: u32,
}

impl Draw {
    pub const GREEDY: Draw = Draw { temperature: 0.0, top_k: 0, top_p: 1.0, seed: 0 };
}

/// Everything that differs between two replays of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    pub rows: &'a [Row],
    pub picks: &'a [Pick],
    pub sampling: Draw,
    /// Strength of each edit, by slot; slots beyond the end have 0.
    pub coefficients: &'a [f32],
}

/// Which rows of an activation a tap copies out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapRows {
    All,
    /// The rows that the step's picks name, in their order.
    Picks,
}

/// A drawn token.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    pub token: u32,
    /// Natural logarithm of the token's probability under the model's own (untempered, unfiltered) distribution.
    pub log_prob: f32,
    /// The most probable tokens with their log probabilities, descending; empty where not asked for.
    pub alternatives: Vec<(u32, f32)>,
}
