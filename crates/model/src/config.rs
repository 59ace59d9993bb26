//! A model's configuration: the numbers and options that determine its forward pass.
//!
//! Families of models differ in a dozen choices: which norm and where, how positions enter, who attends to whom, which
//! MLP. Each is an option here, so that the pass is written once. Where the options come from (a GGUF file's metadata,
//! a repository's `config.json`) is in [`gguf`] and [`crate::repository`].

mod gguf;
mod range;

use crate::checkpoint::CheckpointError;
use tiller_formats::GgufError;

pub(crate) use range::{out_of_range, require, within};

/// The architectures that the engine computes, under the names that GGUF's `general.architecture` gives them.
/// (`gptneo` is our own: llama.cpp has no such files.)
pub const SUPPORTED_ARCHITECTURES: [&str; 9] =
    ["llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "gpt2", "gptneox", "gptneo"];

/// The numbers and options that determine a forward pass. Whoever makes one has checked that they fit one another and
/// the checkpoint's tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// One of [`SUPPORTED_ARCHITECTURES`].
    pub architecture: String,
    /// What the file calls the model.
    pub name: Option<String>,
    /// Blocks.
    pub layers: u32,
    /// d_model, the width of the residual stream.
    pub width: u32,
    /// Query heads; a multiple of `kv_heads`.
    pub heads: u32,
    pub kv_heads: u32,
    pub head_dim: u32,
    /// d_mlp, the width of the MLP between its projections.
    pub ffn: u32,
    /// Rows of the embedding.
    pub vocab: u32,
    /// Tokens in a sequence that the model was trained for.
    pub context: u32,
    /// Factor of the embedding's rows: `sqrt(width)` in Gemma, else 1.
    pub embedding_scale: f32,
    /// Whether a learned table of positions, `[context, width]`, is added to the embedding (GPT-2).
    pub learned_positions: bool,
    pub norm: NormConfig,
    /// Whether what attention and MLP add to the stream is normed before it is added (Gemma 2's sandwich).
    pub post_norms: bool,
    /// Whether attention and MLP of a block read the same stream (GPT-NeoX), not one after the other.
    pub parallel_residual: bool,
    pub attention: AttentionConfig,
    pub mlp: MlpConfig,
    /// `cap * tanh(x / cap)` of the logits (Gemma 2).
    pub logit_soft_cap: Option<f32>,
    /// Whether the embedding is the unembedding as well.
    pub tied_embeddings: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormConfig {
    pub kind: NormKind,
    pub epsilon: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// `x / sqrt(mean(x^2) + epsilon) * gain` (Zhang and Sennrich 2019).
    Rms,
    /// `(x - mean(x)) / sqrt(var(x) + epsilon) * gain + bias` (Ba et al. 2016).
    Layer,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AttentionConfig {
    /// Factor of the scores; `1 / sqrt(head_dim)` in most models.
    pub scale: f32,
    /// `cap * tanh(x / cap)` of the scores (Gemma 2).
    pub soft_cap: Option<f32>,
    /// Whether each head of queries and keys is RMS-normed before its rotation, by a gain `[head_dim]` (Qwen3).
    pub head_norms: bool,
    /// Whether queries, keys and values come from one matrix `attn_qkv`, below one another.
    pub fused: bool,
    /// Rotations that layers name by index. Empty where positions are learned.
    pub ropes: Vec<RopeConfig>,
    /// One for each block.
    pub layers: Vec<LayerAttention>,
}

/// What differs from one block's attention to another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerAttention {
    /// A token attends to the last so many tokens, itself included; `None`: to all.
    pub window: Option<u32>,
    /// Index into [`AttentionConfig::ropes`].
    pub rope: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MlpConfig {
    pub activation: Activation,
    /// Whether the MLP is `W_down (act(W_gate x) * W_up x)` (Shazeer 2020), or else `W_down act(W_up x)`.
    pub gated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    Silu,
    /// GELU by its tanh approximation (Hendrycks and Gimpel 2016).
    GeluTanh,
    /// GELU by the error function.
    GeluErf,
    Relu,
}

/// Rotary position embedding (Su et al. 2021, "RoFormer"): pair i of a head's first `dims` components is rotated by
/// `position / (linear_scale * factor_i * base^(2i / dims))`.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeConfig {
    pub base: f32,
    /// Components of a head that are rotated, from its first; even.
    pub dims: u32,
    /// Whether pair i is the components 2i and 2i + 1, or else i and i + dims / 2.
    pub interleaved: bool,
    /// `factor_i`.
    pub factors: RopeFactors,
    /// Position interpolation; 1 where the model does without.
    pub linear_scale: f32,
}

/// Factors of a rotation's wave lengths, `[dims / 2]` (Llama 3's long contexts).
#[derive(Clone, Debug, PartialEq)]
pub enum RopeFactors {
    /// All 1.
    None,
    /// In the checkpoint's tensor of this name.
    Tensor(String),
    Values(Vec<f32>),
}

/// Why a file is no model that can be run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error(transparent)]
    Gguf(#[from] GgufError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(
        "this model's architecture is \"{found}\", which cannot be run yet: choose a model of one of the \
         architectures {}",
        SUPPORTED_ARCHITECTURES.join(", ")
    )]
    UnknownArchitecture { found: String },
    #[error(
        "the file gives {found} for the model's {what}, where {wanted} is possible: choose another conversion of it"
    )]
    OutOfRange { what: &'static str, found: String, wanted: String },
    #[error("tensor \"{tensor}\" has the shape {found:?} where the model needs {wanted:?}: download the file again")]
    Shape { tensor: String, found: Vec<usize>, wanted: Vec<usize> },
    #[error("the model's config.json lacks \"{key}\": choose another repository of it")]
    MissingOption { key: String },
    #[error("\"{key}\" in the model's config.json should be {wanted}: choose another repository of it")]
    WrongOption { key: String, wanted: &'static str },
    #[error("this model needs {what}, which cannot be run yet: choose another model")]
    Unsupported { what: String },
}

impl ModelConfig {
    /// Width of all query heads together.
    pub fn query_width(&self) -> u32 {
        self.heads * self.head_dim
    }

    /// Width of all key heads together, and of all value heads.
    pub fn kv_width(&self) -> u32 {
        self.kv_heads * self.head_dim
    }
}

impl AttentionConfig {
    /// Attention of every token to all before it, in every one of `layers` blocks, rotated by `rope`.
    pub fn global(layers: u32, head_dim: u32, rope: Option<RopeConfig>) -> AttentionConfig {
        let layer = LayerAttention { window: None, rope: rope.is_some().then_some(0) };
        AttentionConfig {
            scale: 1.0 / (head_dim as f32).sqrt(),
            soft_cap: None,
            head_norms: false,
            fused: false,
            ropes: rope.into_iter().collect(),
            layers: vec![layer; layers as usize],
        }
    }
}

impl RopeConfig {
    /// The plain rotation of `dims` components.
    pub fn plain(base: f32, dims: u32, interleaved: bool) -> RopeConfig {
        RopeConfig { base, dims, interleaved, factors: RopeFactors::None, linear_scale: 1.0 }
    }
}
