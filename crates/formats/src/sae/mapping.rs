//! A safetensors file of any layout, beside a `mapping.json` that says what its tensors are:
//!
//! ```json
//! {"file": "sae.safetensors",
//!  "tensors": {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "W_dec", "b_dec": "b_dec"},
//!  "transposed": ["W_enc"],
//!  "config": {"architecture": "topk", "k": 32, "d_in": 576, "d_sae": 4096}}
//! ```
//!
//! `tensors` gives SAELens's name of each and the file's; `transposed` those that lie the other way round than SAELens
//! has them; `zeros` the biases (`b_enc`, `b_dec`) that the SAE does without; `config` is SAELens's, since version 6.
//! Tensors that are not named are left alone.

use super::assemble::assemble;
use super::error::{SaeFileError, shown};
use super::tensors::{FileTensor, FileTensors, transposed};
use super::{Config, MAPPING, ReadOptions, SaeFile, saelens};
use crate::Folder;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapping {
    file: String,
    tensors: BTreeMap<String, String>,
    #[serde(default)]
    transposed: Vec<String>,
    #[serde(default)]
    zeros: Vec<String>,
    config: Config,
}

pub async fn read(folder: &impl Folder, config: &Config, options: &ReadOptions) -> Result<SaeFile, SaeFileError> {
    let damaged = |what: String| SaeFileError::Config { file: MAPPING, what: what.chars().take(300).collect() };
    let mapping: Mapping = serde_json::from_value(serde_json::Value::Object(config.clone()))
        .map_err(|error| damaged(error.to_string()))?;
    // The folder's own files alone.
    let is_plain = !mapping.file.is_empty() && !mapping.file.contains(['/', '\\', ':', '\0']) && mapping.file != "..";
    if !is_plain || mapping.file.len() > 255 {
        return Err(damaged(format!("\"{}\" is no file beside it", shown(&mapping.file))));
    }
    let file = folder.open(&mapping.file).await?;
    let file = file.ok_or_else(|| damaged(format!("there is no file \"{}\" beside it", shown(&mapping.file))))?;
    let mut stored = FileTensors::from_safetensors(&file).await?;
    let mut tensors = FileTensors::default();
    for (name, from) in &mapping.tensors {
        let tensor = stored.0.remove(from);
        let mut tensor = tensor.ok_or_else(|| damaged(format!("the file has no tensor \"{}\"", shown(from))))?;
        if mapping.transposed.contains(name) {
            let [rows, cols] = tensor.shape[..] else {
                return Err(damaged(format!("\"{}\" is no matrix that could be transposed", shown(from))));
            };
            let numbers = transposed(&tensor.numbers, rows, cols);
            tensor = FileTensor { shape: vec![cols, rows], numbers };
        }
        tensors.0.insert(name.clone(), tensor);
    }
    for name in mapping.zeros {
        let (features, width) = tensors.matrix("W_dec", "mapping")?;
        let len = match name.as_str() {
            "b_enc" => features,
            "b_dec" => width,
            _ => return Err(damaged(format!("\"{}\" is no bias that could be zeros", shown(&name)))),
        };
        tensors.0.insert(name, FileTensor { shape: vec![len], numbers: vec![0.0; len] });
    }
    let (kind, trained_on) = saelens::since_6(&mapping.config, options)?;
    Ok(SaeFile { sae: assemble(&kind, tensors)?, trained_on })
}
