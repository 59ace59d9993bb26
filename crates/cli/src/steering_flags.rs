//! The flags that steer with a vector from a file.

use anyhow::{Context, anyhow, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use tiller_engine::{Edit, Positions, Site};
use tiller_experiment::{ControlVectorFile, VectorAtLayer, VectorFileError, VectorNumbering, resolve_edit};
use tiller_model::ModelConfig;
use tiller_recipe::{Direction, Source, Vector};

#[derive(Args, Clone, Debug)]
pub struct SteeringFlags {
    /// Add a vector of this file, a GGUF control vector or safetensors, to the residual stream after its block.
    #[arg(long, value_name = "VECTOR.gguf|VECTOR.safetensors")]
    steer: Option<PathBuf>,
    /// The block, from 0; may be left out where the file holds one vector only.
    #[arg(long, value_name = "N", requires = "steer")]
    layer: Option<u32>,
    /// What the file's numbers mean, where it does not say: direction N is of block N's output (block-output, as repeng
    /// writes) or of block N - 1's (one-based, as llama.cpp's generator writes).
    #[arg(long, value_name = "NUMBERING", requires = "steer")]
    numbering: Option<VectorNumbering>,
    /// In multiples of the residual stream's typical length there, as on the page; where the file does not note that
    /// length, in multiples of the vector.
    #[arg(long, value_name = "X", default_value_t = 0.2, allow_negative_numbers = true, requires = "steer")]
    strength: f32,
    /// The tokens at which it is added: all, prompt, generated, last (of the prompt), or positions from 0.
    #[arg(long, value_name = "WHERE", default_value = "all", value_parser = positions, requires = "steer")]
    positions: Positions,
}

/// The longest file that is taken for a control vector: more than the widest model's largest takes.
const LONGEST: u64 = 256 << 20;

impl SteeringFlags {
    /// The edit that the flags ask for, if they do, for the model of `config`.
    pub async fn edit(&self, config: &ModelConfig) -> anyhow::Result<Option<Edit>> {
        let Some(path) = &self.steer else { return Ok(None) };
        if !self.strength.is_finite() {
            bail!("the strength {} is no number that a vector can be multiplied by: give a finite one", self.strength);
        }
        let (method, chosen) = vector(path, self.layer, self.numbering, config).await?;
        let Some(direction) = Direction::along(&chosen.direction) else {
            bail!("{} cannot be used: its vector for layer {} is all zeros", path.display(), chosen.layer);
        };
        let vector = Vector {
            name: String::new(),
            method,
            layer: chosen.layer,
            direction,
            norm: chosen.norm,
            typical_norm: chosen.typical_norm,
        };
        let mut edit = tiller_recipe::Edit::add(Source::Vector(0), Site::ResidPost(chosen.layer), self.strength);
        edit.positions = self.positions.clone();
        // By way of a recipe's edit, so that the page and this program add the same numbers.
        Ok(Some(resolve_edit(&[vector], &edit)?))
    }
}

/// The vector of a file for one layer, and how it was made. `layer` may be left out where the file holds one only.
pub async fn vector(
    path: &Path,
    layer: Option<u32>,
    numbering: Option<VectorNumbering>,
    config: &ModelConfig,
) -> anyhow::Result<(String, VectorAtLayer)> {
    let refused = || format!("{} cannot be used", path.display());
    let file = read(path, config, numbering).await.with_context(refused)?;
    Ok((file.method, choose(file.layers, layer).with_context(refused)?))
}

fn choose(mut vectors: Vec<VectorAtLayer>, layer: Option<u32>) -> anyhow::Result<VectorAtLayer> {
    let layers: Vec<String> = vectors.iter().map(|vector| vector.layer.to_string()).collect();
    let chosen = match layer {
        Some(layer) => vectors.iter().position(|vector| vector.layer == layer),
        None if vectors.len() == 1 => Some(0),
        None => bail!("it has vectors for several layers: choose one of {} with --layer", layers.join(", ")),
    };
    match chosen {
        Some(chosen) => Ok(vectors.swap_remove(chosen)),
        None => bail!("it has no vector for that layer: choose one of {} with --layer", layers.join(", ")),
    }
}

async fn read(
    path: &Path,
    config: &ModelConfig,
    numbering: Option<VectorNumbering>,
) -> anyhow::Result<ControlVectorFile> {
    let unreadable = |error| anyhow!("it could not be read ({error}): give another file");
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > LONGEST {
        bail!("it has {length} bytes, too many for a control vector: give another file");
    }
    match ControlVectorFile::read(&std::fs::read(path).map_err(unreadable)?, config, numbering).await {
        Ok((file, _)) => Ok(file),
        Err(error @ VectorFileError::Numbering { .. }) => bail!("{error}, with --numbering"),
        Err(error) => Err(error.into()),
    }
}

fn positions(given: &str) -> Result<Positions, String> {
    match given {
        "all" => Ok(Positions::All),
        "prompt" => Ok(Positions::Prompt),
        "generated" => Ok(Positions::Generated),
        "last" => Ok(Positions::Last),
        listed => listed.split(',').map(|position| position.trim().parse()).collect::<Result<_, _>>().map_or_else(
            |_| Err("write all, prompt, generated, last, or positions as in 0,3,5".into()),
            |listed| Ok(Positions::Listed(listed)),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_a_word_or_a_list() {
        assert_eq!(positions("generated"), Ok(Positions::Generated));
        assert_eq!(positions("0,3, 5"), Ok(Positions::Listed(vec![0, 3, 5])));
        for bad in ["", "everywhere", "1,,2", "-1", "1;2"] {
            assert!(positions(bad).is_err(), "{bad}");
        }
    }
}
