//! A hub of small models, made up on the spot: what is loaded, and how it fails, does not depend on what it is.

use crate::recipes::place_of;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use tiller_formats::Quant;
use tiller_model::TinyLlama;
use tiller_sites::ModelRef;

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A repository with several versions of one model, and files beside them.
pub const VERSIONS: &str = "acme/tiny-GGUF";
/// A repository with one file that is long enough to come in parts.
pub const LONG: &str = "acme/long-GGUF";

/// A model that loads in a moment.
pub fn tiny() -> ModelRef {
    reference(VERSIONS, "tiny.Q8_0.gguf")
}

/// One that comes in eight parts.
pub fn long() -> ModelRef {
    reference(LONG, "long.F32.gguf")
}

fn reference(repo: &str, file: &str) -> ModelRef {
    ModelRef { repo: repo.into(), revision: COMMIT.into(), file: file.into(), bytes: None, sha256: None }
}

/// Puts the models where a hub rooted at `hub` serves them.
pub fn fill(hub: &Path) -> Result<()> {
    let put = |model: &ModelRef, bytes: &[u8]| -> Result<()> {
        let place = place_of(model, hub);
        fs::create_dir_all(place.parent().context("a file lies in a folder")?)?;
        Ok(fs::write(place, bytes)?)
    };
    let model = TinyLlama::default();
    put(&tiny(), &TinyLlama { quant: Quant::Q8_0, ..model.clone() }.to_gguf()?)?;
    put(&reference(VERSIONS, "tiny.Q4_1.gguf"), &TinyLlama { quant: Quant::Q4_1, ..model.clone() }.to_gguf()?)?;
    put(&reference(VERSIONS, "tiny.F16.gguf"), &TinyLlama { quant: Quant::F16, ..model.clone() }.to_gguf()?)?;
    for other in ["mmproj-tiny.gguf", "tiny.IQ4_XS.gguf", "tiny-Q8_0-00001-of-00002.gguf", "config.json", "README.md"] {
        put(&reference(VERSIONS, other), b"not to be loaded")?;
    }
    put(&reference(VERSIONS, "model.safetensors"), &[0; 70_000])?;
    put(&reference("acme/pictures", "README.md"), b"no model at all")?;
    let long = TinyLlama { width: 512, ffn: 2048, quant: Quant::F32, ..model };
    put(&self::long(), &long.to_gguf()?)
}
