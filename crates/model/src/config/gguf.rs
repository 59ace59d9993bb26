//! The configuration that a GGUF file's metadata gives (keys: `gguf-py/gguf/constants.py`; defaults: `src/llama-model.cpp`).

use super::{
    Activation, AttentionConfig, LayerAttention, MlpConfig, ModelConfig, ModelError, NormConfig, NormKind, RopeConfig,
    RopeFactors, SUPPORTED_ARCHITECTURES, out_of_range, require, within,
};
use crate::GgufCheckpoint;
use crate::checkpoint::{Checkpoint, paired_head};
use crate::weights::check_weights;
use tiller_formats::{Gguf, GgufError};

impl ModelConfig {
    /// Reads the configuration, and checks that every number is one a model can have, that every tensor is there in the
    /// right shape, and that there is none that the forward pass would leave out.
    pub fn from_gguf(gguf: &Gguf) -> Result<ModelConfig, ModelError> {
        let config = Metadata::new(gguf)?.config()?;
        // Where the bytes are does not matter to the shapes.
        let nowhere: &[u8] = &[];
        check_weights(GgufCheckpoint::new(gguf, nowhere).tensors(), &config)?;
        Ok(config)
    }
}

/// The metadata of a model of a known architecture.
struct Metadata<'a> {
    gguf: &'a Gguf,
    architecture: &'a str,
}

impl<'a> Metadata<'a> {
    fn new(gguf: &'a Gguf) -> Result<Metadata<'a>, ModelError> {
        let architecture = gguf.metadata.get_str("general.architecture")?;
        // llama.cpp has no GPT-Neo.
        if !SUPPORTED_ARCHITECTURES.contains(&architecture) || architecture == "gptneo" {
            return Err(ModelError::UnknownArchitecture { found: architecture.chars().take(100).collect() });
        }
        Ok(Metadata { gguf, architecture })
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn get(&self, name: &str) -> Result<u32, GgufError> {
        self.gguf.metadata.get_u32(&self.key(name))
    }

    fn find(&self, name: &str) -> Result<Option<u32>, GgufError> {
        self.gguf.metadata.find_u32(&self.key(name))
    }

    fn find_f32(&self, name: &str) -> Result<Option<f32>, GgufError> {
        self.gguf.metadata.find_f32(&self.key(name))
    }

    fn config(&self) -> Result<ModelConfig, ModelError> {
        let Metadata { gguf, architecture } = *self;
        let layers = within("number of layers", self.get("block_count")?, 1..=512)?;
        let width = within("width", self.get("embedding_length")?, 1..=65_536)?;
        let heads = within("number of heads", self.get("attention.head_count")?, 1..=1024)?;
        let kv_heads = self.find("attention.head_count_kv")?.unwrap_or(heads);
        let kv_heads = within("number of key and value heads", kv_heads, 1..=heads)?;
        let divides = heads.is_multiple_of(kv_heads);
        require(divides, "number of key and value heads", kv_heads, format!("a divisor of {heads}"))?;
        let head_dim = match self.find("attention.key_length")? {
            Some(head_dim) => head_dim,
            None if width.is_multiple_of(heads) => width / heads,
            None => return Err(out_of_range("number of heads", heads, format!("a divisor of {width}"))),
        };
        let head_dim = within("head size", head_dim, 2..=1024)?;
        let value_dim = self.find("attention.value_length")?.unwrap_or(head_dim);
        require(value_dim == head_dim, "size of a value head", value_dim, head_dim)?;
        let ffn = within("MLP width", self.get("feed_forward_length")?, 1..=1 << 20)?;
        let context = within("context length", self.get("context_length")?, 1..=1 << 24)?;
        if self.find("expert_count")?.unwrap_or(0) > 0 {
            return Err(ModelError::Unsupported { what: "a mixture of experts".into() });
        }
        let vocab = gguf.tensor("token_embd.weight")?.shape[0].try_into().unwrap_or(u32::MAX);

        let gemma = architecture.starts_with("gemma");
        let layer_norm = matches!(architecture, "gpt2" | "gptneox");
        let mut config = ModelConfig {
            architecture: architecture.into(),
            name: gguf.metadata.find_str("general.name")?.map(|name| name.chars().take(200).collect()),
            layers,
            width,
            heads,
            kv_heads,
            head_dim,
            ffn,
            vocab: within("vocabulary", vocab, 1..=1 << 22)?,
            context,
            embedding_scale: if gemma { (width as f32).sqrt() } else { 1.0 },
            learned_positions: architecture == "gpt2",
            norm: self.norm(if layer_norm { NormKind::Layer } else { NormKind::Rms })?,
            post_norms: matches!(architecture, "gemma2" | "gemma3"),
            parallel_residual: architecture == "gptneox"
                && gguf.metadata.find_bool(&self.key("use_parallel_residual"))?.unwrap_or(true),
            attention: self.attention(layers, width, heads, head_dim, context)?,
            mlp: match architecture {
                "gpt2" => MlpConfig { activation: Activation::GeluTanh, gated: false },
                // llama.cpp takes the tanh approximation; the models were trained with the error function.
                "gptneox" => MlpConfig { activation: Activation::GeluErf, gated: false },
                _ if gemma => MlpConfig { activation: Activation::GeluTanh, gated: true },
                _ => MlpConfig { activation: Activation::Silu, gated: true },
            },
            logit_soft_cap: self.cap("final_logit_softcapping", (architecture == "gemma2").then_some(30.0))?,
            tied_embeddings: !gguf.tensors.contains_key("output.weight"),
        };
        config.attention.fused = gguf.tensors.contains_key("blk.0.attn_qkv.weight");
        Ok(config)
    }

    fn norm(&self, kind: NormKind) -> Result<NormConfig, ModelError> {
        let key = match kind {
            NormKind::Rms => self.key("attention.layer_norm_rms_epsilon"),
            NormKind::Layer => self.key("attention.layer_norm_epsilon"),
        };
        Ok(NormConfig { kind, epsilon: within("norm epsilon", self.gguf.metadata.get_f32(&key)?, 0.0..=0.1)? })
    }

    fn cap(&self, name: &str, default: Option<f32>) -> Result<Option<f32>, ModelError> {
        match self.find_f32(name)?.or(default) {
            // Newer files say 0 where there is none.
            Some(0.0) | None => Ok(None),
            Some(cap) => within("soft cap", cap, 1e-3..=1e6).map(Some),
        }
    }

    fn attention(
        &self,
        layers: u32,
        width: u32,
        heads: u32,
        head_dim: u32,
        context: u32,
    ) -> Result<AttentionConfig, ModelError> {
        let rope = match self.architecture {
            "gpt2" => None,
            _ => Some(self.rope(head_dim)?),
        };
        let mut attention = AttentionConfig::global(layers, head_dim, rope);
        attention.head_norms = matches!(self.architecture, "qwen3" | "gemma3");
        attention.soft_cap = self.cap("attn_logit_softcapping", (self.architecture == "gemma2").then_some(50.0))?;
        // The 27 B models scale by another width than their heads'.
        if matches!((self.architecture, layers), ("gemma2", 46) | ("gemma3", 62)) {
            attention.scale = 1.0 / (width as f32 / heads as f32).sqrt();
        }
        let window = match (self.find("attention.sliding_window")?, self.architecture) {
            (None, "gemma2") => Some(4096),
            (window, _) => window.filter(|&window| window > 0 && window < context),
        };
        match (window, self.architecture) {
            (None, _) => {}
            // Every second layer, and five of six, see a window only.
            (Some(window), "gemma2") => attention.layers = self.windows(layers, window, 2, 0)?,
            (Some(window), "gemma3") => attention.layers = self.windows(layers, window, 6, 1)?,
            // A Mistral: all of its layers do.
            (Some(window), "llama") => {
                attention.layers.iter_mut().for_each(|layer| layer.window = Some(window));
            }
            (Some(_), _) => {
                return Err(ModelError::Unsupported { what: "attention within a sliding window".into() });
            }
        }
        if self.architecture == "gemma3" {
            // The rotation of the layers with a window is in newer files only, and never interpolated.
            let base = self.find_f32("rope.freq_base_swa")?.unwrap_or(10_000.0);
            let dims = attention.ropes[0].dims;
            attention.ropes.push(RopeConfig::plain(within("RoPE base", base, 1.0..=1e9)?, dims, false));
        }
        Ok(attention)
    }

    /// Layers of which every `period`-th, the last of each period, sees all, and the others see `window` tokens by the
    /// rotation `local_rope`. A file may state the period, or each layer's kind.
    fn windows(
        &self,
        layers: u32,
        window: u32,
        period: u32,
        local_rope: usize,
    ) -> Result<Vec<LayerAttention>, ModelError> {
        const KEY: &str = "attention.sliding_window_pattern";
        let value = self.gguf.metadata.get(&self.key(KEY));
        let stated: Option<Vec<bool>> =
            value.and_then(|value| value.as_array()?.iter().map(|kind| kind.as_bool()).collect());
        let period = value.and_then(|value| value.as_u32()).unwrap_or(period);
        let period = within("pattern of windows", period, 1..=1024)?;
        let local = |n: u32| match &stated {
            Some(stated) => stated.get(n as usize).copied().unwrap_or(false),
            None => (n + 1) % period != 0,
        };
        let layer = |n: u32| match local(n) {
            true => LayerAttention { window: Some(window), rope: Some(local_rope) },
            false => LayerAttention { window: None, rope: Some(0) },
        };
        Ok((0..layers).map(layer).collect())
    }

    fn rope(&self, head_dim: u32) -> Result<RopeConfig, ModelError> {
        let metadata = &self.gguf.metadata;
        let base = self.find_f32("rope.freq_base")?.unwrap_or(10_000.0);
        let base = within("RoPE base", base, 1.0..=1e9)?;
        let dims = self.find("rope.dimension_count")?.unwrap_or(head_dim);
        let dims = within("RoPE dimensions", dims, 2..=head_dim)?;
        require(dims.is_multiple_of(2), "RoPE dimensions", dims, "an even number")?;

        let factor = self.find_f32("rope.scaling.factor")?;
        let linear_scale = match (metadata.find_str(&self.key("rope.scaling.type"))?, factor) {
            (Some("none"), _) | (None, None) => 1.0,
            // Files from before `scaling.type` mean linear scaling by their factor.
            (Some("linear") | None, factor) => within("RoPE scale", factor.unwrap_or(1.0), 1.0..=1e4)?,
            (Some(other), _) => {
                let shown: String = other.chars().take(100).collect();
                return Err(ModelError::Unsupported { what: format!("RoPE scaling of the type \"{shown}\"") });
            }
        };
        const FACTORS: &str = "rope_freqs.weight";
        let factors = match self.gguf.tensors.contains_key(FACTORS) {
            true => RopeFactors::Tensor(FACTORS.into()),
            false => RopeFactors::None,
        };
        // Pairs lie side by side in a llama file; reading takes them apart where it can (see `GgufCheckpoint`).
        let interleaved = self.architecture == "llama" && paired_head(self.gguf).is_none();
        Ok(RopeConfig { base, dims, interleaved, factors, linear_scale })
    }
}
