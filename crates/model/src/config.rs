//! A model's configuration, from a GGUF file's metadata.

use crate::weights::check_weights;
use std::{fmt::Display, ops::RangeInclusive};
use tiller_formats::{Gguf, GgufError};

/// The architectures that the engine computes, under the names that `general.architecture` gives them.
pub const SUPPORTED_ARCHITECTURES: [&str; 1] = ["llama"];

/// The numbers that determine a forward pass. [`ModelConfig::from_gguf`] has checked that they fit one another and the
/// file's tensors.
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
    /// RMSNorm's epsilon.
    pub norm_eps: f32,
    pub rope: RopeConfig,
    /// Whether the embedding is the unembedding as well.
    pub tied_embeddings: bool,
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
    /// The tensor `[dims / 2]` of `factor_i`, where the file has one (Llama 3's long contexts).
    pub frequency_factors: Option<String>,
    /// Position interpolation; 1 where the model does without.
    pub linear_scale: f32,
}

/// Why a file is no model that can be run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error(transparent)]
    Gguf(#[from] GgufError),
    #[error(
        "this model's architecture is \"{found}\", which cannot be run yet: choose a model of the architecture {}",
        SUPPORTED_ARCHITECTURES.join(", ")
    )]
    UnknownArchitecture { found: String },
    #[error(
        "the file gives {found} for the model's {what}, where {wanted} is possible: choose another conversion of it"
    )]
    OutOfRange { what: &'static str, found: String, wanted: String },
    #[error("tensor \"{tensor}\" has the shape {found:?} where the model needs {wanted:?}: download the file again")]
    Shape { tensor: String, found: Vec<usize>, wanted: Vec<usize> },
    #[error("this model needs {what}, which cannot be run yet: choose another model")]
    Unsupported { what: String },
}

impl ModelConfig {
    /// Reads the configuration, and checks that every number is one a model can have, that every tensor is there in the
    /// right shape, and that there is none that the forward pass would leave out.
    pub fn from_gguf(gguf: &Gguf) -> Result<ModelConfig, ModelError> {
        let metadata = &gguf.metadata;
        let architecture = metadata.get_str("general.architecture")?;
        if !SUPPORTED_ARCHITECTURES.contains(&architecture) {
            let found = architecture.chars().take(100).collect();
            return Err(ModelError::UnknownArchitecture { found });
        }
        let key = |name: &str| format!("{architecture}.{name}");
        let get = |name: &str| metadata.get_u32(&key(name));
        let find = |name: &str| metadata.find_u32(&key(name));

        let layers = within("number of layers", get("block_count")?, 1..=512)?;
        let width = within("width", get("embedding_length")?, 1..=65_536)?;
        let heads = within("number of heads", get("attention.head_count")?, 1..=1024)?;
        let kv_heads = find("attention.head_count_kv")?.unwrap_or(heads);
        let kv_heads = within("number of key and value heads", kv_heads, 1..=heads)?;
        require(
            heads.is_multiple_of(kv_heads),
            "number of key and value heads",
            kv_heads,
            format!("a divisor of {heads}"),
        )?;
        let head_dim = match find("attention.key_length")? {
            Some(head_dim) => head_dim,
            None if width.is_multiple_of(heads) => width / heads,
            None => return Err(out_of_range("number of heads", heads, format!("a divisor of {width}"))),
        };
        let head_dim = within("head size", head_dim, 2..=1024)?;
        let value_dim = find("attention.value_length")?.unwrap_or(head_dim);
        require(value_dim == head_dim, "size of a value head", value_dim, head_dim)?;
        let ffn = within("MLP width", get("feed_forward_length")?, 1..=1 << 20)?;
        let context = within("context length", get("context_length")?, 1..=1 << 24)?;
        let norm_eps = within("norm epsilon", metadata.get_f32(&key("attention.layer_norm_rms_epsilon"))?, 0.0..=0.1)?;

        if find("expert_count")?.unwrap_or(0) > 0 {
            return Err(ModelError::Unsupported { what: "a mixture of experts".into() });
        }
        if find("attention.sliding_window")?.is_some_and(|window| window > 0 && window < context) {
            return Err(ModelError::Unsupported { what: "attention within a sliding window".into() });
        }

        let embedding = gguf.tensor("token_embd.weight")?;
        let vocab = embedding.shape[0].try_into().unwrap_or(u32::MAX);
        let config = ModelConfig {
            architecture: architecture.into(),
            name: metadata.find_str("general.name")?.map(|name| name.chars().take(200).collect()),
            layers,
            width,
            heads,
            kv_heads,
            head_dim,
            ffn,
            vocab: within("vocabulary", vocab, 1..=1 << 22)?,
            context,
            norm_eps,
            rope: RopeConfig::from_gguf(gguf, architecture, head_dim)?,
            tied_embeddings: !gguf.tensors.contains_key("output.weight"),
        };
        check_weights(gguf, &config)?;
        Ok(config)
    }

    /// Width of all query heads together.
    pub fn query_width(&self) -> u32 {
        self.heads * self.head_dim
    }

    /// Width of all key heads together, and of all value heads.
    pub fn kv_width(&self) -> u32 {
        self.kv_heads * self.head_dim
    }
}

impl RopeConfig {
    fn from_gguf(gguf: &Gguf, architecture: &str, head_dim: u32) -> Result<RopeConfig, ModelError> {
        let metadata = &gguf.metadata;
        let key = |name: &str| format!("{architecture}.rope.{name}");

        let base = within("RoPE base", metadata.find_f32(&key("freq_base"))?.unwrap_or(10_000.0), 1.0..=1e9)?;
        let dims = metadata.find_u32(&key("dimension_count"))?.unwrap_or(head_dim);
        let dims = within("RoPE dimensions", dims, 2..=head_dim)?;
        require(dims.is_multiple_of(2), "RoPE dimensions", dims, "an even number")?;

        let factor = metadata.find_f32(&key("scaling.factor"))?;
        let linear_scale = match (metadata.find_str(&key("scaling.type"))?, factor) {
            (Some("none"), _) | (None, None) => 1.0,
            // Files from before `scaling.type` mean linear scaling by their factor.
            (Some("linear") | None, factor) => within("RoPE scale", factor.unwrap_or(1.0), 1.0..=1e4)?,
            (Some(other), _) => {
                let shown: String = other.chars().take(100).collect();
                return Err(ModelError::Unsupported { what: format!("RoPE scaling of the type \"{shown}\"") });
            }
        };

        const FACTORS: &str = "rope_freqs.weight";
        let frequency_factors = gguf.tensors.contains_key(FACTORS).then(|| FACTORS.to_string());
        // llama.cpp's converter permutes the rows of a llama model's queries and keys so that pairs lie side by side.
        Ok(RopeConfig { base, dims, interleaved: true, frequency_factors, linear_scale })
    }
}

fn within<T: PartialOrd + Display>(what: &'static str, found: T, range: RangeInclusive<T>) -> Result<T, ModelError> {
    if range.contains(&found) {
        return Ok(found);
    }
    Err(out_of_range(what, found, format!("{} to {}", range.start(), range.end())))
}

fn require(holds: bool, what: &'static str, found: u32, wanted: impl Display) -> Result<(), ModelError> {
    if holds { Ok(()) } else { Err(out_of_range(what, found, wanted)) }
}

fn out_of_range(what: &'static str, found: impl Display, wanted: impl Display) -> ModelError {
    ModelError::OutOfRange { what, found: found.to_string(), wanted: wanted.to_string() }
}
