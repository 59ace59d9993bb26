//! Steering vectors to disk.

use crate::loaded::Loaded;
use anyhow::anyhow;
use std::path::Path;
use tiller_experiment::{ControlVectorFile, VectorOrigin};

/// Writes a vector that was made with the loaded model: safetensors where the name ends so, else a GGUF control vector.
/// It is called as its file is. `made_of`: "10 pairs".
pub fn save(path: &Path, file: &ControlVectorFile, made_of: &str, loaded: &Loaded) -> anyhow::Result<()> {
    let config = loaded.session.engine.config();
    let origin = VectorOrigin {
        name: path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(),
        model: loaded.file.clone(),
        architecture: config.architecture.clone(),
        model_layers: config.layers,
        provenance: made_of.into(),
    };
    let as_safetensors = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors"));
    let bytes = if as_safetensors { file.to_safetensors(&origin) } else { file.to_gguf(&origin)? };
    std::fs::write(path, bytes)
        .map_err(|error| anyhow!("{} could not be written ({error}): choose another place", path.display()))
}
