//! Steering vectors as files: GGUF control vectors with our notes.

use tiller_formats::{ControlVector, ControlVectorError, Numbering, Value, WriteError};
use tiller_model::ModelConfig;

const METHOD: &str = "tiller.method";
/// One number for each direction, in the order of the layers.
const TYPICAL_NORMS: &str = "tiller.typical_norms";

/// What a control vector file says about a steering vector.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlVectorFile {
    /// How it was made ("mean-diff"); "imported" where the file does not say.
    pub method: String,
    /// By layer, ascending.
    pub layers: Vec<VectorAtLayer>,
}

/// A direction at one block's output.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorAtLayer {
    pub layer: u32,
    /// `[d_model]`, of any length.
    pub direction: Vec<f32>,
    /// L2 length that the vector has in the file.
    pub norm: f32,
    /// Mean L2 norm of the residual stream there. Where the file does not say, the vector's own length stands in: a
    /// strength of 1 then adds the vector as it is.
    pub typical_norm: f32,
}

/// Why a file is no steering vector for this model.
#[derive(Debug, thiserror::Error)]
pub enum VectorFileError {
    #[error(transparent)]
    File(#[from] ControlVectorError),
    #[error(
        "its directions have {found} numbers, but this model's residual stream has {expected}: use a vector made with this model"
    )]
    Width { found: usize, expected: u32 },
    #[error(
        "it has a direction for layer {layer}, but this model's layers are 0 to {last}: use a vector made with this model"
    )]
    Layer { layer: u32, last: u32 },
}

impl ControlVectorFile {
    /// The file's bytes; `architecture` is the model's. Directions are written with their length.
    pub fn to_bytes(&self, architecture: &str) -> Result<Vec<u8>, WriteError> {
        let directions = self.layers.iter().map(|layer| {
            let length = length(&layer.direction);
            let scale = if length > 0.0 { layer.norm / length } else { 0.0 };
            (layer.layer, layer.direction.iter().map(|v| v * scale).collect())
        });
        let norms = self.layers.iter().map(|layer| Value::F32(layer.typical_norm)).collect();
        let mut file = ControlVector {
            model_hint: architecture.into(),
            directions: directions.collect(),
            numbering: Numbering::BlockOutput,
            ..ControlVector::default()
        };
        file.notes.0.insert(METHOD.into(), Value::String(self.method.clone()));
        file.notes.0.insert(TYPICAL_NORMS.into(), Value::Array(norms));
        file.to_bytes()
    }

    /// Reads a file for the model of `config`. Where it does not say how its directions are numbered, number N is taken
    /// for block N's output, as repeng and llama.cpp apply it.
    pub async fn read(bytes: &[u8], config: &ModelConfig) -> Result<ControlVectorFile, VectorFileError> {
        let file = ControlVector::read(&bytes.to_vec()).await?;
        if file.width() != config.width as usize {
            return Err(VectorFileError::Width { found: file.width(), expected: config.width });
        }
        if let Some((&layer, _)) = file.directions.range(config.layers..).next() {
            return Err(VectorFileError::Layer { layer, last: config.layers - 1 });
        }
        let norms = file.notes.0.get(TYPICAL_NORMS).and_then(Value::as_array).unwrap_or_default();
        let usable = |norm: &f32| norm.is_finite() && *norm > 0.0;
        let at_layer = |(n, (layer, direction)): (usize, (u32, Vec<f32>))| {
            let norm = length(&direction);
            let typical_norm = norms.get(n).and_then(Value::as_f32).filter(usable).unwrap_or(norm);
            VectorAtLayer { layer, direction, norm, typical_norm }
        };
        let method = file.notes.0.get(METHOD).and_then(Value::as_str).unwrap_or("imported");
        Ok(ControlVectorFile {
            method: method.chars().take(40).collect(),
            layers: file.directions.into_iter().enumerate().map(at_layer).collect(),
        })
    }
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt() as f32
}
