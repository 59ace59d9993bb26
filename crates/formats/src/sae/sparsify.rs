//! Sparsify's `cfg.json` and `sae.safetensors` (<https://github.com/EleutherAI/sparsify>): TopK autoencoders, and
//! transcoders with or without a skip. What they read is the name of their folder.

use super::assemble::{Kind, KindOfActivation, assemble};
use super::error::{SaeFileError, shown};
use super::options::{count, flag, needed, refuse, text};
use super::saelens::trained_on;
use super::tensors::{FileTensor, FileTensors, transposed};
use super::{Config, ReadOptions, SaeFile};
use tiller_sae::Normalisation;

/// What a configuration says; of those that have no bearing on how the SAE is run, the value is of no interest.
const OPTIONS: [&str; 15] = [
    "activation",
    "d_in",
    "num_latents",
    "expansion_factor",
    "k",
    "skip_connection",
    "transcode",
    "normalize_decoder",
    "multi_topk",
    "lookup_max_order",
    "gram_table_hash",
    "signed",
    "embed_skip",
    "gram_lookup",
    "hookpoint",
];

/// Whether a configuration is Sparsify's.
pub fn is_config(config: &Config) -> bool {
    !config.contains_key("d_sae") && (config.contains_key("num_latents") || config.contains_key("expansion_factor"))
}

pub fn read(config: &Config, mut tensors: FileTensors, options: &ReadOptions) -> Result<SaeFile, SaeFileError> {
    if let Some(option) = config.keys().find(|key| !OPTIONS.contains(&key.as_str())) {
        return Err(SaeFileError::UnknownOption { option: shown(option) });
    }
    if text(config, "activation")?.unwrap_or("topk") != "topk" {
        return Err(refuse(config, "activation", "topk"));
    }
    for option in ["signed", "embed_skip", "gram_lookup"] {
        if flag(config, option)?.unwrap_or(false) {
            return Err(refuse(config, option, "false"));
        }
    }
    let (d_in, k) = (needed(config, "d_in")?, needed(config, "k")?);
    let d_sae = match count(config, "num_latents")?.filter(|&count| count > 0) {
        Some(count) => count,
        None => d_in.saturating_mul(needed(config, "expansion_factor")?),
    };
    let is_transcoder = flag(config, "transcode")?.unwrap_or(false);
    let with_skip = flag(config, "skip_connection")?.unwrap_or(false);
    if with_skip && !is_transcoder {
        return Err(refuse(config, "skip_connection", "false for an autoencoder"));
    }
    tensors.rename("encoder.bias", "b_enc");
    let encoder = tensors.0.remove("encoder.weight").filter(|encoder| encoder.shape == [d_sae, d_in]);
    if let Some(FileTensor { numbers, .. }) = encoder {
        let numbers = transposed(&numbers, d_sae, d_in);
        tensors.0.insert("W_enc".into(), FileTensor { shape: vec![d_in, d_sae], numbers });
    }
    let kind = Kind {
        name: "Sparsify",
        d_in,
        d_sae,
        d_out: is_transcoder.then_some(d_in),
        with_skip,
        activation: KindOfActivation::TopK { k, rescale_by_decoder_norm: false },
        apply_b_dec_to_input: !is_transcoder,
        normalisation: Normalisation::None,
        input_scale: options.input_scale,
    };
    Ok(SaeFile { sae: assemble(&kind, tensors)?, trained_on: trained_on(&Config::new(), options) })
}
