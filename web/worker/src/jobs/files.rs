//! Steering vectors as files, GGUF control vectors and safetensors, out and in.

use super::session;
use crate::desk::Bench;
use crate::failure::Stop;
use crate::live::Live;
use tiller_experiment::{ControlVectorFile, VectorAtLayer, VectorFileError, VectorOrigin};
use tiller_protocol::{Directions, Event, LayerDirection, VectorFormat, VectorNumbering, VectorToSave};
use tiller_recipe::Direction;

pub fn export(bench: &mut Bench, live: &Live, vector: &VectorToSave) -> Result<Event, Stop> {
    let config = session(bench)?.engine.config();
    let layers = vector.layers.iter().map(|layer| VectorAtLayer {
        layer: layer.layer,
        direction: layer.direction.to_f32(),
        norm: layer.norm,
        typical_norm: layer.typical_norm,
    });
    let file = ControlVectorFile { method: vector.method.clone(), layers: layers.collect() };
    let origin = VectorOrigin {
        name: vector.name.clone(),
        model: vector.model.clone(),
        architecture: config.architecture.clone(),
        model_layers: config.layers,
        provenance: if vector.pairs > 0 { format!("{} pairs", vector.pairs) } else { String::new() },
    };
    let (bytes, ending) = match vector.format {
        VectorFormat::Gguf => (file.to_gguf(&origin).map_err(not_saved)?, "gguf"),
        VectorFormat::Safetensors => (file.to_safetensors(&origin), "safetensors"),
    };
    Ok(Event::File { job: live.job, name: format!("{}.{ending}", file_stem(&vector.name)), bytes })
}

pub async fn import(
    bench: &mut Bench,
    live: &Live,
    bytes: Vec<u8>,
    numbering: Option<VectorNumbering>,
) -> Result<Event, Stop> {
    let config = session(bench)?.engine.config();
    let (file, origin) = match ControlVectorFile::read(&bytes, config, numbering).await {
        Ok(read) => read,
        Err(VectorFileError::Numbering { first, last }) => {
            return Ok(Event::NumberingUnclear { job: live.job, first, last });
        }
        Err(error) => return Err(not_read(error)),
    };
    let layer = |layer: VectorAtLayer| {
        Some(LayerDirection {
            layer: layer.layer,
            direction: Direction::along(&layer.direction)?,
            norm: layer.norm,
            typical_norm: layer.typical_norm,
            separability: None,
        })
    };
    // A layer without a direction (all zeros) steers nothing.
    let layers: Vec<LayerDirection> = file.layers.into_iter().filter_map(layer).collect();
    if layers.is_empty() {
        return Err(not_read("it holds no direction: choose another file"));
    }
    Ok(Event::VectorRead {
        job: live.job,
        name: Some(origin.name).filter(|name| !name.is_empty()),
        directions: Directions { method: file.method, layers, suggested: None, pairs: 0 },
    })
}

fn not_saved(error: impl ToString) -> Stop {
    Stop::failed("The vector could not be saved", error)
}

fn not_read(error: impl ToString) -> Stop {
    Stop::failed("This file cannot be used as a steering vector", error)
}

/// A name that every file system takes.
fn file_stem(name: &str) -> String {
    let plain: String = name.chars().take(60).map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let trimmed = plain.trim_matches('-');
    if trimmed.is_empty() { "vector".into() } else { trimmed.to_lowercase() }
}
