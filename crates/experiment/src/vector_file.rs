//! Steering vectors as files: GGUF control vectors and safetensors, with our notes.

use tiller_formats::{ControlVector, ControlVectorError, Metadata, Numbering, Value, WriteError};
use tiller_model::ModelConfig;
use tiller_sites::VectorNumbering;

const METHOD: &str = "tiller.method";
const NAME: &str = "tiller.name";
const MODEL: &str = "tiller.model";
const MODEL_LAYERS: &str = "tiller.model_layers";
const PROVENANCE: &str = "tiller.provenance";
/// Lists with one number for each direction, in the order of the layers.
const LAYERS: &str = "tiller.layers";
const NORMS: &str = "tiller.norms";
const TYPICAL_NORMS: &str = "tiller.typical_norms";

/// What a file says about a steering vector.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlVectorFile {
    /// How it was made ("mean-diff"); "imported" where the file does not say.
    pub method: String,
    /// By layer, ascending.
    pub layers: Vec<VectorAtLayer>,
}

/// Which vector it is, and of which model; empty where a file does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VectorOrigin {
    pub name: String,
    /// Repository and file.
    pub model: String,
    /// The model's, such as `llama`.
    pub architecture: String,
    /// Blocks of the model; 0 where the file does not say.
    pub model_layers: u32,
    /// What it was made of ("10 pairs").
    pub provenance: String,
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
    #[error("it is of a model with {found} layers, and this one has {expected}: use a vector made with this model")]
    Layers { found: u32, expected: u32 },
    #[error(
        "its directions are numbered {first} to {last}, and it does not say what the numbers mean: say whether direction N \
         belongs to the output of block N (block-output, as repeng writes) or of block N - 1 (one-based, as llama.cpp's \
         generator writes)"
    )]
    Numbering { first: u32, last: u32 },
}

impl ControlVectorFile {
    /// The file as a GGUF control vector, directions at their length.
    pub fn to_gguf(&self, origin: &VectorOrigin) -> Result<Vec<u8>, WriteError> {
        self.to_control_vector(origin).to_bytes()
    }

    /// The file as safetensors ([`tiller_formats::control_vector::safetensors`]), directions at their length.
    pub fn to_safetensors(&self, origin: &VectorOrigin) -> Vec<u8> {
        self.to_control_vector(origin).to_safetensors()
    }

    fn to_control_vector(&self, origin: &VectorOrigin) -> ControlVector {
        let directions = self.layers.iter().map(|layer| {
            let length = length(&layer.direction);
            let scale = if length > 0.0 { layer.norm / length } else { 0.0 };
            (layer.layer, layer.direction.iter().map(|v| v * scale).collect())
        });
        let list = |of: fn(&VectorAtLayer) -> Value| Value::Array(self.layers.iter().map(of).collect());
        let mut notes = Metadata::default();
        let mut note = |key: &str, value: Value| notes.0.insert(key.into(), value);
        note(METHOD, Value::from(&*self.method));
        note(LAYERS, list(|layer| Value::U32(layer.layer)));
        note(NORMS, list(|layer| Value::F32(layer.norm)));
        note(TYPICAL_NORMS, list(|layer| Value::F32(layer.typical_norm)));
        if origin.model_layers > 0 {
            note(MODEL_LAYERS, Value::U32(origin.model_layers));
        }
        for (key, text) in [(NAME, &origin.name), (MODEL, &origin.model), (PROVENANCE, &origin.provenance)] {
            if !text.is_empty() {
                note(key, Value::from(&**text));
            }
        }
        ControlVector {
            model_hint: origin.architecture.clone(),
            directions: directions.collect(),
            numbering: Numbering::BlockOutput,
            notes,
        }
    }

    /// Reads a file, GGUF or safetensors, for the model of `config`. `numbering` is what a person says the numbers of its
    /// directions mean; it counts only where neither the file nor the numbers themselves say (a direction 0 is of no
    /// one-based file, one past the last block of no other), and there it is asked for.
    pub async fn read(
        bytes: &[u8],
        config: &ModelConfig,
        numbering: Option<VectorNumbering>,
    ) -> Result<(ControlVectorFile, VectorOrigin), VectorFileError> {
        let file = ControlVector::read(&bytes.to_vec()).await?;
        if file.width() != config.width as usize {
            return Err(VectorFileError::Width { found: file.width(), expected: config.width });
        }
        let model_layers = file.notes.0.get(MODEL_LAYERS).and_then(Value::as_u32).unwrap_or(0);
        if ![0, config.layers].contains(&model_layers) {
            return Err(VectorFileError::Layers { found: model_layers, expected: config.layers });
        }
        let file = numbered(file, config.layers, numbering)?;
        if let Some((&layer, _)) = file.directions.range(config.layers..).next() {
            return Err(VectorFileError::Layer { layer, last: config.layers - 1 });
        }
        let norms = file.notes.0.get(TYPICAL_NORMS).and_then(Value::as_array).unwrap_or_default();
        let usable = |norm: &f32| norm.is_finite() && *norm > 0.0;
        let method = text(&file, METHOD, 40);
        let origin = VectorOrigin {
            name: text(&file, NAME, LONGEST_NAME),
            model: text(&file, MODEL, 2 * LONGEST_NAME),
            architecture: file.model_hint.chars().take(LONGEST_NAME).collect(),
            model_layers,
            provenance: text(&file, PROVENANCE, 2 * LONGEST_NAME),
        };
        let at_layer = |(n, (&layer, direction)): (usize, (&u32, &Vec<f32>))| {
            let norm = length(direction);
            let typical_norm = norms.get(n).and_then(Value::as_f32).filter(usable).unwrap_or(norm);
            VectorAtLayer { layer, direction: direction.clone(), norm, typical_norm }
        };
        let layers = file.directions.iter().enumerate().map(at_layer).collect();
        let method = if method.is_empty() { "imported".into() } else { method };
        Ok((ControlVectorFile { method, layers }, origin))
    }
}

/// Of names in a file, in characters; as recipes take them.
const LONGEST_NAME: usize = 200;

/// A note's text, or nothing where the file has none.
fn text(file: &ControlVector, key: &str, longest: usize) -> String {
    match file.notes.0.get(key) {
        Some(Value::String(text)) => text.chars().take(longest).collect(),
        // In safetensors all metadata is text, and a name may be a number.
        Some(Value::U32(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// The file's directions by the block whose output they belong to.
fn numbered(file: ControlVector, layers: u32, said: Option<VectorNumbering>) -> Result<ControlVector, VectorFileError> {
    let (first, last) = match (file.directions.first_key_value(), file.directions.last_key_value()) {
        (Some((&first, _)), Some((&last, _))) => (first, last),
        _ => (0, 0),
    };
    let numbering = match file.numbering {
        Numbering::BlockOutput => VectorNumbering::BlockOutput,
        Numbering::Unknown if first == 0 => VectorNumbering::BlockOutput,
        Numbering::Unknown if last == layers => VectorNumbering::OneBased,
        Numbering::Unknown => said.ok_or(VectorFileError::Numbering { first, last })?,
    };
    Ok(match numbering {
        VectorNumbering::BlockOutput => file,
        VectorNumbering::OneBased => file.from_one_based()?,
    })
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt() as f32
}
