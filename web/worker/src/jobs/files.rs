//! Steering vectors as files: GGUF control vectors out and in.

use super::session;
use crate::desk::Bench;
use crate::failure::Stop;
use crate::live::Live;
use tiller_experiment::{ControlVectorFile, VectorAtLayer};
use tiller_protocol::{Directions, Event, LayerDirection};
use tiller_recipe::Direction;

pub fn export(bench: &mut Bench, live: &Live, name: &str, layers: &[LayerDirection]) -> Result<Event, Stop> {
    let session = session(bench)?;
    let layers = layers.iter().map(|layer| VectorAtLayer {
        layer: layer.layer,
        direction: layer.direction.to_f32(),
        norm: layer.norm,
        typical_norm: layer.typical_norm,
    });
    let file = ControlVectorFile { method: "mean-diff".into(), layers: layers.collect() };
    let bytes = file.to_bytes(&session.engine.config().architecture).map_err(not_saved)?;
    Ok(Event::File { job: live.job, name: format!("{}.gguf", file_stem(name)), bytes })
}

pub async fn import(bench: &mut Bench, live: &Live, bytes: Vec<u8>) -> Result<Event, Stop> {
    let config = session(bench)?.engine.config();
    let file = ControlVectorFile::read(&bytes, config).await.map_err(not_read)?;
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
    Ok(Event::Directions {
        job: live.job,
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
