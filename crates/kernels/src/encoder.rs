//! The encoder of a dictionary of features (a sparse autoencoder) on the device.

use tiller_formats::Quant;

use crate::error::GpuError;
use crate::gpu::Gpu;
use crate::matrix::Matrix;
use crate::vector::Vector;

/// Turns activations `[rows, d_in]` into features `[rows, features]`:
/// `activation(W (normalised(x) - subtracted) + bias)`. A clone is a handle to the same numbers.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// `[features, d_in]`
    pub weights: Matrix,
    /// `[features]`
    pub bias: Vector,
    /// Subtracted from the normalised activation: `[d_in]`.
    pub subtracted: Option<Vector>,
    /// Whether the mean over its numbers is taken off each activation, before anything else.
    pub centred: bool,
    pub normalised: Normalised,
    pub activation: FeatureActivation,
}

/// How an activation is normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalised {
    Not,
    /// Mean 0 and unbiased standard deviation 1; 1e-5 is added to what is divided by.
    Layer,
    /// Length `sqrt(d_in)`.
    ConstantNorm,
}

/// How pre-activations h become features.
#[derive(Clone, Debug)]
pub enum FeatureActivation {
    /// `max(h, 0)`
    Relu,
    /// h where it is above 0 and above the threshold, `[features]`.
    JumpRelu { threshold: Vector },
    /// `max(factor (h - bias) + offset, 0)` where `h > 0`; `[3, features]`: factor, the encoder's bias, offset.
    Gated { magnitudes: Vector },
    /// The k largest of those above 0; of equal ones the first.
    TopK { k: u32 },
}

impl Normalised {
    /// Its number in `shaders/feature_input.wgsl` and `shaders/edit_features.wgsl`.
    pub(crate) fn number(self) -> u32 {
        match self {
            Normalised::Not => 0,
            Normalised::Layer => 1,
            Normalised::ConstantNorm => 2,
        }
    }
}

/// Features that an edit changes; `listed` of `shaders/edit_features.wgsl` holds as many.
pub const MOST_CHANGES: usize = 64;

/// What an edit makes of a feature's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    Set(f32),
    Add(f32),
    Scale(f32),
    Clamp { low: f32, high: f32 },
}

/// Changes of some features, with the directions that they write. A clone is a handle to the same numbers.
#[derive(Clone, Debug)]
pub struct FeatureChanges {
    pub(crate) listed: Vector,
    pub(crate) directions: Vector,
    pub(crate) count: u32,
    /// The largest feature that is listed.
    pub(crate) largest: u32,
    pub(crate) width: usize,
}

impl FeatureChanges {
    /// `changes`: features by number; `directions`: `[changes, width]`. Errors where there are none or too many, or where
    /// the directions are not as many.
    pub fn new(gpu: &Gpu, changes: &[(u32, Change)], directions: &[f32]) -> Result<FeatureChanges, GpuError> {
        let count = changes.len();
        if !(1..=MOST_CHANGES).contains(&count) || directions.is_empty() || !directions.len().is_multiple_of(count) {
            return Err(GpuError::Validation(format!("{count} changes of features with {} numbers", directions.len())));
        }
        // As the words of a vector of floats: feature, kind, two numbers.
        let words = changes.iter().flat_map(|&(feature, change)| {
            let (kind, a, b) = match change {
                Change::Set(value) => (0, value, 0.0),
                Change::Add(value) => (1, value, 0.0),
                Change::Scale(factor) => (2, factor, 0.0),
                Change::Clamp { low, high } => (3, low, high),
            };
            [f32::from_bits(feature), f32::from_bits(kind), a, b]
        });
        Ok(FeatureChanges {
            listed: Vector::new(gpu, &words.collect::<Vec<f32>>())?,
            directions: Vector::new(gpu, directions)?,
            count: count as u32,
            largest: changes.iter().map(|&(feature, _)| feature).max().unwrap_or(0),
            width: directions.len() / count,
        })
    }
}

impl Encoder {
    /// Weights `[features, d_in]` on the device as a format that has a row's bytes made of them.
    pub fn weights(gpu: &Gpu, quant: Quant, d_in: u32, rows: &[u8]) -> Result<Matrix, GpuError> {
        let row_bytes = quant.row_bytes(d_in as usize).unwrap_or(0).max(1);
        let matrix = Matrix::new(gpu, quant, (rows.len() / row_bytes) as u32, d_in)?;
        matrix.write_rows(0, rows)?;
        Ok(matrix)
    }
}
