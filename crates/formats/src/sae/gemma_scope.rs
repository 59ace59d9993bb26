//! Gemma Scope's `params.npz` (Lieberum et al. 2024) and Gemma Scope 2's `params.safetensors`: jumprelu, the decoder's
//! bias not subtracted. What they were trained on is in the names of their folders.

use super::assemble::{Kind, KindOfActivation, assemble};
use super::error::SaeFileError;
use super::hook_names::from_module;
use super::options::{flag, name, refuse, text};
use super::saelens::trained_on;
use super::tensors::{FileTensor, FileTensors, transposed};
use super::{Config, ReadOptions, SaeFile, TrainedOn};
use tiller_sae::Normalisation;

const KIND: &str = "Gemma Scope";
const KIND_2: &str = "Gemma Scope 2";

/// The tensors of `params.npz`. A transcoder's are called the same: that it is one, [`ReadOptions::site_out`] says.
pub fn read(mut tensors: FileTensors, options: &ReadOptions) -> Result<SaeFile, SaeFileError> {
    for (old, new) in [("w_enc", "W_enc"), ("w_dec", "W_dec")] {
        tensors.rename(old, new);
    }
    let trained_on = trained_on(&Config::new(), options);
    finish(KIND, tensors, false, TrainedOn { prepend_bos: Some(true), ..trained_on }, options)
}

/// The tensors of `params.safetensors`, and `config.json` if it is there.
pub fn read_2(
    config: Option<Config>,
    mut tensors: FileTensors,
    options: &ReadOptions,
) -> Result<SaeFile, SaeFileError> {
    let config = config.unwrap_or_default();
    if !matches!(text(&config, "architecture")?.unwrap_or("jump_relu"), "jump_relu") {
        return Err(refuse(&config, "architecture", "jump_relu"));
    }
    tensors.rename("w_enc", "W_enc");
    tensors.rename("w_dec", "W_dec");
    let module = |option: &str| name(&config, option).and_then(|module| from_module(&module));
    let said = trained_on(&Config::new(), options);
    let trained_on = TrainedOn {
        model: name(&config, "model_name"),
        site: said.site.or_else(|| module("hf_hook_point_in")),
        site_out: said.site_out.or_else(|| module("hf_hook_point_out")),
        prepend_bos: Some(true),
        ..TrainedOn::default()
    };
    const SKIP: &str = "affine_skip_connection";
    let with_skip = flag(&config, "affine_connection")?.unwrap_or(tensors.has(SKIP));
    if with_skip {
        let (d_in, d_out) = tensors.matrix(SKIP, KIND_2)?;
        let skip = tensors.take(SKIP, &[d_in, d_out], KIND_2)?;
        let numbers = transposed(&skip, d_in, d_out);
        tensors.0.insert("W_skip".into(), FileTensor { shape: vec![d_out, d_in], numbers });
    }
    finish(KIND_2, tensors, with_skip, trained_on, options)
}

fn finish(
    name: &'static str,
    tensors: FileTensors,
    with_skip: bool,
    trained_on: TrainedOn,
    options: &ReadOptions,
) -> Result<SaeFile, SaeFileError> {
    let (d_in, d_sae) = tensors.matrix("W_enc", name)?;
    let (_, d_out) = tensors.matrix("W_dec", name)?;
    let is_transcoder = trained_on.site_out.is_some() || with_skip || d_out != d_in;
    let kind = Kind {
        name,
        d_in,
        d_sae,
        d_out: is_transcoder.then_some(d_out),
        with_skip,
        activation: KindOfActivation::JumpRelu,
        apply_b_dec_to_input: false,
        normalisation: Normalisation::None,
        input_scale: options.input_scale,
    };
    Ok(SaeFile { sae: assemble(&kind, tensors)?, trained_on })
}
