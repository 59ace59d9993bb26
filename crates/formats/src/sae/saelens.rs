//! SAELens's `cfg.json` and `sae_weights.safetensors` (<https://github.com/decoderesearch/SAELens>).
//!
//! Before version 6 the configuration was the whole training run's, under other names and with other defaults; it says
//! much that has no bearing on how the SAE is run, so that there only what has is looked at. Since then it holds little
//! else, and an option that is not known is refused.

use super::assemble::{Kind, KindOfActivation, assemble};
use super::error::SaeFileError;
use super::options::{count, flag, given, name, needed, number, refuse, text};
use super::tensors::FileTensors;
use super::{Config, ReadOptions, SaeFile, TrainedOn};
use serde_json::Value;
use tiller_sae::Normalisation;

const ARCHITECTURES: &str = "standard, topk, jumprelu, gated, matching_pursuit, transcoder, skip_transcoder, \
                             jumprelu_transcoder and jumprelu_skip_transcoder";

/// What a configuration may say since version 6.
const OPTIONS: [&str; 15] = [
    "architecture",
    "d_in",
    "d_sae",
    "d_out",
    "dtype",
    "device",
    "apply_b_dec_to_input",
    "normalize_activations",
    "reshape_activations",
    "metadata",
    "k",
    "rescale_acts_by_decoder_norm",
    "residual_threshold",
    "max_iterations",
    "stop_on_duplicate_support",
];

pub fn read(config: &Config, mut tensors: FileTensors, options: &ReadOptions) -> Result<SaeFile, SaeFileError> {
    let (kind, trained_on) = match is_before_6(config) {
        true => before_6(config, &mut tensors, options)?,
        false => since_6(config, options)?,
    };
    Ok(SaeFile { sae: assemble(&kind, tensors)?, trained_on })
}

/// Without a version it is an old one: new ones always say.
fn is_before_6(config: &Config) -> bool {
    let version = |config: &Config| name(config, "sae_lens_version");
    let version = version(config).or_else(|| version(config.get("metadata")?.as_object()?));
    let major = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    major.is_none_or(|major| major < 6)
}

/// How an SAE computes, and what it was trained on.
pub(super) fn since_6(config: &Config, options: &ReadOptions) -> Result<(Kind, TrainedOn), SaeFileError> {
    if let Some(option) = config.keys().find(|key| !OPTIONS.contains(&key.as_str())) {
        return Err(SaeFileError::UnknownOption { option: super::error::shown(option) });
    }
    let architecture = text(config, "architecture")?.ok_or(SaeFileError::NoOption { option: "architecture" })?;
    let kind = kind(config, architecture, options)?;
    let nothing = Config::new();
    let about = config.get("metadata").and_then(Value::as_object).unwrap_or(&nothing);
    Ok((kind, trained_on(about, options)))
}

fn before_6(
    config: &Config,
    tensors: &mut FileTensors,
    options: &ReadOptions,
) -> Result<(Kind, TrainedOn), SaeFileError> {
    let mut config = config.clone();
    for (old, new) in [
        ("hook_point", "hook_name"),
        ("hook_point_head_index", "hook_head_index"),
        ("activation_fn_str", "activation_fn"),
    ] {
        if let Some(value) = config.remove(old) {
            config.entry(new).or_insert(value);
        }
    }
    let default = |config: &mut Config, option: &str, value: Value| {
        if given(config, option).is_none() {
            config.insert(option.into(), value);
        }
    };
    default(&mut config, "apply_b_dec_to_input", true.into());
    default(&mut config, "prepend_bos", true.into());
    default(&mut config, "architecture", "standard".into());
    if let Some(normalised) = config.get("normalize_activations").and_then(Value::as_bool) {
        let normalised = if normalised { "expected_average_only_in" } else { "none" };
        config.insert("normalize_activations".into(), normalised.into());
    }
    // A top-k SAE called itself standard, and was told by its function alone; run as one that keeps every feature above
    // 0 it would seem to work.
    match text(&config, "activation_fn")?.unwrap_or("relu") {
        "relu" => {}
        "topk" => {
            let k = config.get("activation_fn_kwargs").and_then(|kwargs| kwargs.get("k")).cloned();
            let k = k.filter(|k| !k.is_null()).or_else(|| given(&config, "k").cloned());
            config.insert("k".into(), k.ok_or(SaeFileError::NoOption { option: "activation_fn_kwargs.k" })?);
            config.insert("architecture".into(), "topk".into());
        }
        _ => return Err(refuse(&config, "activation_fn", "relu and topk")),
    }
    // Of ones in every file of some months, and then no factor at all.
    let factors = tensors.0.get("scaling_factor");
    let factors_are_ones = factors.is_some_and(|factors| factors.numbers.iter().all(|&factor| factor == 1.0));
    if factors_are_ones {
        tensors.0.remove("scaling_factor");
    } else if factors.is_some() && flag(&config, "finetuning_scaling_factor")?.unwrap_or(false) {
        return Err(refuse(&config, "finetuning_scaling_factor", "false"));
    }
    let architecture = text(&config, "architecture")?.unwrap_or("standard");
    Ok((kind(&config, architecture, options)?, trained_on(&config, options)))
}

fn kind(config: &Config, architecture: &str, options: &ReadOptions) -> Result<Kind, SaeFileError> {
    let (d_in, d_sae) = (needed(config, "d_in")?, needed(config, "d_sae")?);
    let (name, activation) = match architecture {
        "standard" => ("standard", KindOfActivation::Relu),
        "topk" => {
            let rescale_by_decoder_norm = flag(config, "rescale_acts_by_decoder_norm")?.unwrap_or(false);
            ("topk", KindOfActivation::TopK { k: needed(config, "k")?, rescale_by_decoder_norm })
        }
        "jumprelu" => ("jumprelu", KindOfActivation::JumpRelu),
        "gated" => ("gated", KindOfActivation::Gated),
        "matching_pursuit" => {
            let pursuit = KindOfActivation::MatchingPursuit {
                residual_threshold: number(config, "residual_threshold")?.unwrap_or(1e-2),
                max_iterations: count(config, "max_iterations")?.unwrap_or(d_in),
                stop_on_duplicate_support: flag(config, "stop_on_duplicate_support")?.unwrap_or(true),
            };
            ("matching_pursuit", pursuit)
        }
        "transcoder" => ("transcoder", KindOfActivation::Relu),
        "skip_transcoder" => ("skip_transcoder", KindOfActivation::Relu),
        "jumprelu_transcoder" => ("jumprelu_transcoder", KindOfActivation::JumpRelu),
        "jumprelu_skip_transcoder" => ("jumprelu_skip_transcoder", KindOfActivation::JumpRelu),
        _ => return Err(refuse(config, "architecture", ARCHITECTURES)),
    };
    let d_out = match name.ends_with("transcoder") {
        true => Some(needed(config, "d_out")?),
        false => None,
    };
    let known = "none, layer_norm, constant_norm_rescale and expected_average_only_in";
    let (normalisation, is_scaled) = match text(config, "normalize_activations")?.unwrap_or("none") {
        "none" => (Normalisation::None, false),
        "layer_norm" => (Normalisation::LayerNorm, false),
        "constant_norm_rescale" => (Normalisation::ConstantNorm, false),
        "expected_average_only_in" => (Normalisation::None, true),
        _ => return Err(refuse(config, "normalize_activations", known)),
    };
    if is_scaled && options.input_scale.is_none() {
        return Err(SaeFileError::NoInputScale);
    }
    // Heads side by side: as a site that has heads lies here in any case.
    if !matches!(text(config, "reshape_activations")?.unwrap_or("none"), "none" | "hook_z") {
        return Err(refuse(config, "reshape_activations", "none and hook_z"));
    }
    Ok(Kind {
        name,
        d_in,
        d_sae,
        d_out,
        with_skip: name.ends_with("skip_transcoder"),
        activation,
        apply_b_dec_to_input: flag(config, "apply_b_dec_to_input")?.unwrap_or(true),
        normalisation,
        input_scale: options.input_scale,
    })
}

/// `about`: the metadata, or an old configuration.
/// Whether a name may stand in an address as it is.
fn is_plain(id: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    id.split('/').all(|of_id| part(of_id) && !of_id.starts_with('.'))
}

pub(super) fn trained_on(about: &Config, options: &ReadOptions) -> TrainedOn {
    let number = |option: &str| given(about, option).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let loaded_with = about.get("model_from_pretrained_kwargs").and_then(Value::as_object);
    TrainedOn {
        model: name(about, "model_name"),
        site: options.site.clone().or_else(|| name(about, "hook_name")),
        site_out: options.site_out.clone().or_else(|| name(about, "hook_name_out")),
        head: number("hook_head_index"),
        prepend_bos: about.get("prepend_bos").and_then(Value::as_bool),
        context: number("context_size"),
        texts: name(about, "dataset_path"),
        neuronpedia: name(about, "neuronpedia_id").filter(|id| is_plain(id)),
        centred: loaded_with.and_then(|kwargs| kwargs.get("center_writing_weights")?.as_bool()),
    }
}
