//! A model small enough to be made up on the spot, complete with tokenizer and chat template, for tests of everything
//! that takes a model's file.

use crate::{Activation, AttentionConfig, MlpConfig, ModelConfig, NormConfig, NormKind, RopeConfig, weights};
use tiller_formats::{GgufWriter, Quant, WriteError};

/// A random Llama model. Its tokenizer knows every byte, a few words and ChatML's tokens; what it writes means nothing.
#[derive(Clone, Debug)]
pub struct TinyLlama {
    pub layers: u32,
    pub width: u32,
    pub heads: u32,
    pub kv_heads: u32,
    pub ffn: u32,
    pub context: u32,
    pub tied_embeddings: bool,
    /// Of the matrices; norms are F32.
    pub quant: Quant,
    pub seed: u64,
}

impl Default for TinyLlama {
    fn default() -> TinyLlama {
        TinyLlama {
            layers: 2,
            width: 64,
            heads: 4,
            kv_heads: 2,
            ffn: 96,
            context: 128,
            tied_embeddings: true,
            quant: Quant::Q4_1,
            seed: 1,
        }
    }
}

/// ChatML's tokens, in SmolLM2's order.
const CONTROL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

/// Words that are tokens, each with the merges that make it of GPT-2's printable bytes (`Ġ` is a space).
const MERGES: [(&str, &str); 6] = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "w"), ("Ġw", "o")];

const CHAT_TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + \
    message['content'] + '<|im_end|>' + '\n' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

impl TinyLlama {
    /// The model as a GGUF file. Errors where the matrices' widths are not whole blocks of the quantisation.
    pub fn to_gguf(&self) -> Result<Vec<u8>, WriteError> {
        let tokens = tokens();
        let config = self.config(tokens.len() as u32);
        let kinds = tokens.iter().map(|token| if CONTROL.contains(&token.as_str()) { 3u32 } else { 1 });
        let mut file = GgufWriter::new("llama")
            .with("general.name", "Tiny random llama")
            .with("llama.block_count", self.layers)
            .with("llama.embedding_length", self.width)
            .with("llama.feed_forward_length", self.ffn)
            .with("llama.context_length", self.context)
            .with("llama.attention.head_count", self.heads)
            .with("llama.attention.head_count_kv", self.kv_heads)
            .with("llama.attention.layer_norm_rms_epsilon", config.norm.epsilon)
            .with("llama.rope.freq_base", config.attention.ropes[0].base)
            .with("llama.rope.dimension_count", config.attention.ropes[0].dims)
            .with("tokenizer.ggml.model", "gpt2")
            .with("tokenizer.ggml.pre", "smollm")
            .with("tokenizer.ggml.token_type", kinds.collect::<Vec<u32>>())
            .with("tokenizer.ggml.tokens", tokens)
            .with("tokenizer.ggml.merges", MERGES.map(|(left, right)| format!("{left} {right}")).to_vec())
            .with("tokenizer.ggml.bos_token_id", 1)
            .with("tokenizer.ggml.eos_token_id", 2)
            .with("tokenizer.ggml.add_bos_token", false)
            .with("tokenizer.chat_template", CHAT_TEMPLATE);

        let mut random = Random(self.seed);
        for weight in weights(&config) {
            if weight.optional && (weight.name != "output.weight" || self.tied_embeddings) {
                continue;
            }
            let count = weight.shape.iter().product();
            match weight.shape[..] {
                // A gain near 1; a matrix that keeps the size of what it multiplies.
                [_] => file.tensor(&weight.name, Quant::F32, &weight.shape, &random.numbers(count, 1.0, 0.1))?,
                _ => {
                    let spread = (1.0 / weight.shape[1] as f32).sqrt();
                    file.tensor(&weight.name, self.quant, &weight.shape, &random.numbers(count, 0.0, spread))?;
                }
            }
        }
        file.to_bytes()
    }

    fn config(&self, vocab: u32) -> ModelConfig {
        let head_dim = self.width / self.heads;
        ModelConfig {
            architecture: "llama".into(),
            name: None,
            layers: self.layers,
            width: self.width,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim,
            ffn: self.ffn,
            vocab,
            context: self.context,
            embedding_scale: 1.0,
            learned_positions: false,
            norm: NormConfig { kind: NormKind::Rms, epsilon: 1e-5 },
            post_norms: false,
            parallel_residual: false,
            attention: AttentionConfig::global(
                self.layers,
                head_dim,
                Some(RopeConfig::plain(10_000.0, head_dim, true)),
            ),
            mlp: MlpConfig { activation: Activation::Silu, gated: true },
            logit_soft_cap: None,
            tied_embeddings: self.tied_embeddings,
        }
    }
}

fn tokens() -> Vec<String> {
    let mut bytes: Vec<char> = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet().into_iter().collect();
    bytes.sort_unstable();
    let control = CONTROL.into_iter().map(String::from);
    let words = MERGES.iter().map(|(left, right)| format!("{left}{right}"));
    control.chain(bytes.into_iter().map(String::from)).chain(words).collect()
}

/// SplitMix64 (Steele et al. 2014): the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `count` numbers, uniform about `centre` with the standard deviation `spread`.
    fn numbers(&mut self, count: usize, centre: f32, spread: f32) -> Vec<f32> {
        let half_width = spread * 3f32.sqrt();
        let unit = |bits: u64| (bits >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
        (0..count).map(|_| centre + half_width * unit(self.next())).collect()
    }
}
