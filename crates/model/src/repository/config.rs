//! The configuration that a `config.json` gives. What its options mean, and what they are where it does not say, is in
//! transformers' `configuration_*.py` and `modeling_*.py` of each model type.

use super::options::{Options, wrong};
use super::rope::{self, Defaults};
use crate::config::{out_of_range, require, within};
use crate::{Activation, AttentionConfig, LayerAttention, MlpConfig, ModelConfig, ModelError, NormConfig, NormKind};
use serde_json::Value;

/// Which repositories are alike in how their tensors lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// And Qwen.
    Llama,
    Gemma,
    Gpt2,
    GptNeo,
    GptNeoX,
}

/// A type of model that can be run.
struct Kind {
    /// `model_type` in `config.json`.
    model_type: &'static str,
    /// The class of the model with its unembedding: other classes classify or embed texts.
    class: &'static str,
    /// GGUF's name of the architecture.
    architecture: &'static str,
    family: Family,
    /// Whether embedding and unembedding are tied where `config.json` does not say.
    tied: bool,
}

const fn kind(
    model_type: &'static str,
    class: &'static str,
    architecture: &'static str,
    family: Family,
    tied: bool,
) -> Kind {
    Kind { model_type, class, architecture, family, tied }
}

const KINDS: [Kind; 10] = [
    kind("llama", "LlamaForCausalLM", "llama", Family::Llama, false),
    kind("mistral", "MistralForCausalLM", "llama", Family::Llama, false),
    kind("qwen2", "Qwen2ForCausalLM", "qwen2", Family::Llama, false),
    kind("qwen3", "Qwen3ForCausalLM", "qwen3", Family::Llama, false),
    kind("gemma", "GemmaForCausalLM", "gemma", Family::Gemma, true),
    kind("gemma2", "Gemma2ForCausalLM", "gemma2", Family::Gemma, true),
    kind("gemma3_text", "Gemma3ForCausalLM", "gemma3", Family::Gemma, true),
    kind("gpt2", "GPT2LMHeadModel", "gpt2", Family::Gpt2, true),
    kind("gpt_neo", "GPTNeoForCausalLM", "gptneo", Family::GptNeo, true),
    kind("gpt_neox", "GPTNeoXForCausalLM", "gptneox", Family::GptNeoX, false),
];

/// Reads a `config.json`, and checks that every number is one a model can have, and that no option is set that the
/// forward pass would leave out. The tensors are checked against it by the caller.
pub(super) fn read(options: &Options) -> Result<(ModelConfig, Family), ModelError> {
    let model_type = options.find_str("model_type")?.unwrap_or("");
    let unknown = |found: &str| ModelError::UnknownArchitecture { found: found.chars().take(100).collect() };
    let kind = KINDS.iter().find(|kind| kind.model_type == model_type).ok_or_else(|| unknown(model_type))?;
    let classes = options.find_list("architectures")?.map(Vec::as_slice).unwrap_or_default();
    if let Some(class) = classes.iter().filter_map(Value::as_str).find(|class| *class != kind.class) {
        return Err(unknown(class));
    }
    refuse_unknown(options)?;
    let config = Reader { options, kind }.config()?;
    Ok((config, kind.family))
}

/// Options that would change the numbers, and that no model type here is computed with.
fn refuse_unknown(options: &Options) -> Result<(), ModelError> {
    let is_true = |value: &Value| value.as_bool() == Some(true);
    let some = |value: &Value| value.as_u64() != Some(0);
    options.refuse("quantization_config", |_| true)?;
    for experts in ["num_local_experts", "num_experts", "n_routed_experts"] {
        options.refuse(experts, some)?;
    }
    for option in ["add_cross_attention", "is_encoder_decoder", "use_bidirectional_attention"] {
        options.refuse(option, is_true)?;
    }
    options.refuse("scale_attn_by_inverse_layer_idx", is_true)
}

struct Reader<'a> {
    options: &'a Options<'a>,
    kind: &'a Kind,
}

/// The sizes that all others follow.
struct Sizes {
    layers: u32,
    width: u32,
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    context: u32,
}

impl Reader<'_> {
    fn config(&self) -> Result<ModelConfig, ModelError> {
        let Reader { options, kind } = self;
        let sizes = self.sizes()?;
        let gemma = kind.family == Family::Gemma;
        let vocab = within("vocabulary", options.get_u32("vocab_size")?, 1..=1 << 22)?;
        let cap = |key: &str| options.find_f32(key)?.map(|cap| within("soft cap", cap, 1e-3..=1e6)).transpose();
        Ok(ModelConfig {
            architecture: kind.architecture.into(),
            name: None,
            layers: sizes.layers,
            width: sizes.width,
            heads: sizes.heads,
            kv_heads: sizes.kv_heads,
            head_dim: sizes.head_dim,
            ffn: within("MLP width", self.ffn(sizes.width)?, 1..=1 << 20)?,
            vocab,
            context: sizes.context,
            embedding_scale: if gemma { (sizes.width as f32).sqrt() } else { 1.0 },
            learned_positions: matches!(kind.family, Family::Gpt2 | Family::GptNeo),
            norm: self.norm()?,
            post_norms: matches!(kind.architecture, "gemma2" | "gemma3"),
            parallel_residual: kind.family == Family::GptNeoX
                && options.find_bool("use_parallel_residual")?.unwrap_or(true),
            attention: AttentionConfig {
                scale: self.attention_scale(sizes.head_dim)?,
                soft_cap: if gemma { cap("attn_logit_softcapping")? } else { None },
                head_norms: matches!(kind.architecture, "qwen3" | "gemma3"),
                fused: matches!(kind.family, Family::Gpt2 | Family::GptNeoX),
                ..self.positions(&sizes)?
            },
            mlp: MlpConfig {
                activation: self.activation()?,
                gated: matches!(kind.family, Family::Llama | Family::Gemma),
            },
            logit_soft_cap: if gemma { cap("final_logit_softcapping")? } else { None },
            tied_embeddings: options.find_bool("tie_word_embeddings")?.unwrap_or(kind.tied),
        })
    }

    fn sizes(&self) -> Result<Sizes, ModelError> {
        let options = self.options;
        let [layers, width, heads, context] = match self.kind.family {
            Family::Gpt2 => ["n_layer", "n_embd", "n_head", "n_positions"],
            Family::GptNeo => ["num_layers", "hidden_size", "num_heads", "max_position_embeddings"],
            _ => ["num_hidden_layers", "hidden_size", "num_attention_heads", "max_position_embeddings"],
        };
        let layers = within("number of layers", options.get_u32(layers)?, 1..=512)?;
        let width = within("width", options.get_u32(width)?, 1..=65_536)?;
        let heads = within("number of heads", options.get_u32(heads)?, 1..=1024)?;
        let context = within("context length", options.get_u32(context)?, 1..=1 << 24)?;
        let (mut kv_heads, mut head_dim) = (heads, None);
        if matches!(self.kind.family, Family::Llama | Family::Gemma) {
            kv_heads = options.find_u32("num_key_value_heads")?.unwrap_or(heads);
            // Of the models whose heads need not divide the width, a few repositories rely on these defaults.
            let default = match self.kind.architecture {
                "qwen3" => Some(128),
                "gemma" | "gemma2" | "gemma3" => Some(256),
                _ => None,
            };
            head_dim = options.find_u32("head_dim")?.or(default);
        }
        let kv_heads = within("number of key and value heads", kv_heads, 1..=heads)?;
        let divides = heads.is_multiple_of(kv_heads);
        require(divides, "number of key and value heads", kv_heads, format!("a divisor of {heads}"))?;
        let head_dim = match head_dim {
            Some(head_dim) => head_dim,
            None if width.is_multiple_of(heads) => width / heads,
            None => return Err(out_of_range("number of heads", heads, format!("a divisor of {width}"))),
        };
        Ok(Sizes { layers, width, heads, kv_heads, head_dim: within("head size", head_dim, 2..=1024)?, context })
    }

    fn ffn(&self, width: u32) -> Result<u32, ModelError> {
        let four_widths = width * 4;
        match self.kind.family {
            Family::Gpt2 => Ok(self.options.find_u32("n_inner")?.unwrap_or(four_widths)),
            Family::GptNeo => Ok(self.options.find_u32("intermediate_size")?.unwrap_or(four_widths)),
            _ => self.options.get_u32("intermediate_size"),
        }
    }

    fn norm(&self) -> Result<NormConfig, ModelError> {
        let (kind, key, default) = match self.kind.family {
            Family::Llama | Family::Gemma => (NormKind::Rms, "rms_norm_eps", 1e-6),
            Family::Gpt2 | Family::GptNeo => (NormKind::Layer, "layer_norm_epsilon", 1e-5),
            Family::GptNeoX => (NormKind::Layer, "layer_norm_eps", 1e-5),
        };
        let epsilon = self.options.find_f32(key)?.unwrap_or(default);
        Ok(NormConfig { kind, epsilon: within("norm epsilon", epsilon, 0.0..=0.1)? })
    }

    fn activation(&self) -> Result<Activation, ModelError> {
        let options = self.options;
        let name = match self.kind.family {
            Family::Llama => options.find_str("hidden_act")?.unwrap_or("silu"),
            // Gemma's first repositories say "gelu" in `hidden_act` and mean this.
            Family::Gemma => options.find_str("hidden_activation")?.unwrap_or("gelu_pytorch_tanh"),
            Family::Gpt2 | Family::GptNeo => options.find_str("activation_function")?.unwrap_or("gelu_new"),
            Family::GptNeoX => options.find_str("hidden_act")?.unwrap_or("gelu"),
        };
        match name {
            "silu" | "swish" => Ok(Activation::Silu),
            "gelu" => Ok(Activation::GeluErf),
            "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            "relu" => Ok(Activation::Relu),
            other => {
                let shown: String = other.chars().take(100).collect();
                Err(ModelError::Unsupported { what: format!("the activation function \"{shown}\"") })
            }
        }
    }

    fn attention_scale(&self, head_dim: u32) -> Result<f32, ModelError> {
        let by_root = 1.0 / (head_dim as f32).sqrt();
        match (self.kind.family, self.kind.architecture) {
            (Family::GptNeo, _) => Ok(1.0),
            (Family::Gpt2, _) => {
                Ok(if self.options.find_bool("scale_attn_weights")? == Some(false) { 1.0 } else { by_root })
            }
            (_, "gemma2" | "gemma3") => {
                let scalar = self.options.find_f32("query_pre_attn_scalar")?.unwrap_or(256.0);
                Ok(1.0 / within("query scale", scalar, 1e-3..=1e6)?.sqrt())
            }
            _ => Ok(by_root),
        }
    }

    /// Rotations and windows.
    fn positions(&self, sizes: &Sizes) -> Result<AttentionConfig, ModelError> {
        let &Sizes { layers, head_dim, context, .. } = sizes;
        let rope = |layer_type: &str, base: f32| {
            let (base_key, part) = match (self.kind.family, layer_type) {
                // Pythia's repositories have names of their own.
                (Family::GptNeoX, _) => ("rotary_emb_base", self.options.find_f32("rotary_pct")?.unwrap_or(0.25)),
                (Family::Gemma, "sliding_attention") => ("rope_local_base_freq", 1.0),
                _ => ("rope_theta", 1.0),
            };
            rope::read(self.options, layer_type, &Defaults { base, base_key, part }, head_dim, context)
        };
        let mut attention = match (self.kind.family, self.kind.architecture) {
            (Family::Gpt2 | Family::GptNeo, _) => AttentionConfig::global(layers, head_dim, None),
            (_, "gemma3") => AttentionConfig::global(layers, head_dim, Some(rope("full_attention", 1_000_000.0)?)),
            _ => AttentionConfig::global(layers, head_dim, Some(rope("full_attention", 10_000.0)?)),
        };
        // Layers with a window have a rotation of their own in Gemma 3 only.
        let mut local_rope = attention.layers[0].rope;
        if self.kind.architecture == "gemma3" {
            attention.ropes.push(rope("sliding_attention", 10_000.0)?);
            local_rope = Some(1);
        }
        if let Some((window, local)) = self.windows(layers)? {
            let window = within("attention window", window, 1..=1 << 24)?;
            for (layer, _) in attention.layers.iter_mut().zip(local).filter(|(_, local)| *local) {
                *layer = LayerAttention { window: Some(window).filter(|&window| window < context), rope: local_rope };
            }
        }
        Ok(attention)
    }

    /// The window, and which layers see no more.
    fn windows(&self, layers: u32) -> Result<Option<(u32, Vec<bool>)>, ModelError> {
        let options = self.options;
        let period = match (self.kind.family, self.kind.architecture) {
            (Family::GptNeo, _) => {
                let window = options.find_u32("window_size")?.unwrap_or(256);
                return Ok(Some((window, self.layer_types("attention_layers", layers, ["global", "local"])?)));
            }
            (_, "gemma2") => Some(2),
            (_, "gemma3") => {
                let period = options.find_u32("sliding_window_pattern")?;
                let period = period.or(options.find_u32("_sliding_window_pattern")?).unwrap_or(6);
                Some(within("pattern of windows", period, 1..=1024)?)
            }
            // All layers of a Mistral have the window, where there is one.
            _ if self.kind.model_type == "mistral" => {
                let window = options.find_u32("sliding_window")?;
                return Ok(window.map(|window| (window, vec![true; layers as usize])));
            }
            // Qwen's layers have windows from some layer on, where the option is on.
            (_, "qwen2" | "qwen3") if options.find_bool("use_sliding_window")? == Some(true) => None,
            _ => return Ok(None),
        };
        let Some(window) = options.find_u32("sliding_window")? else { return Ok(None) };
        let local = match (options.find("layer_types"), period) {
            (Some(_), _) => self.layer_types("layer_types", layers, ["full_attention", "sliding_attention"])?,
            (None, Some(period)) => (0..layers).map(|n| (n + 1) % period != 0).collect(),
            (None, None) => {
                let first = options.find_u32("max_window_layers")?.unwrap_or(28);
                (0..layers).map(|n| n >= first).collect()
            }
        };
        Ok(Some((window, local)))
    }

    /// For each layer, whether it is of the second of two types.
    fn layer_types(&self, key: &str, layers: u32, [global, local]: [&str; 2]) -> Result<Vec<bool>, ModelError> {
        let types = self.options.find_list(key)?.ok_or_else(|| ModelError::MissingOption { key: key.into() })?;
        if types.len() != layers as usize {
            return Err(wrong(key, "a list with an entry for each layer"));
        }
        let is_local = |kind: &Value| match kind.as_str() {
            Some(kind) if kind == local => Ok(true),
            Some(kind) if kind == global => Ok(false),
            other => {
                let shown: String = other.unwrap_or_default().chars().take(100).collect();
                Err(ModelError::Unsupported { what: format!("layers of the type \"{shown}\"") })
            }
        };
        types.iter().map(is_local).collect()
    }
}
