//! What a sparse autoencoder is, whatever file it came from.

use crate::SaeError;

/// A sparse autoencoder of activations of `d_in` numbers, with `d_sae` features; or a transcoder, which writes another
/// activation of `d_out` numbers from what it reads.
///
/// `features = activation(W_enc (norm_in(x) - b_dec if apply_b_dec_to_input) + b_enc)`,
/// `reconstruction = norm_out(W_dec^T features + b_dec)`; a transcoder's is `W_dec^T features + b_dec + W_skip x`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sae {
    /// Numbers in an activation.
    pub d_in: usize,
    /// Features.
    pub d_sae: usize,
    /// `[d_sae, d_in]`: a feature's row lies together (the transpose of what SAELens stores). Empty for matching
    /// pursuit, which reads along the directions that it writes.
    pub w_enc: Vec<f32>,
    /// `[d_sae]`; of a gated SAE, the gate's. Empty for matching pursuit.
    pub b_enc: Vec<f32>,
    /// `[d_sae, d_out]`: a feature's direction.
    pub w_dec: Vec<f32>,
    /// `[d_out]`
    pub b_dec: Vec<f32>,
    /// Whether the decoder's bias is subtracted before encoding; a transcoder's never is.
    pub apply_b_dec_to_input: bool,
    pub activation: Activation,
    pub normalisation: Normalisation,
    /// What is written, where that is not what was read.
    pub transcoder: Option<Transcoder>,
}

/// How pre-activations become features.
#[derive(Clone, Debug, PartialEq)]
pub enum Activation {
    /// `max(h, 0)`
    Relu,
    /// The `k` largest pre-activations, then `max(h, 0)` (Gao et al. 2024). Where files weigh pre-activations by the length
    /// of their direction (`rescale_acts_by_decoder_norm`), that length is folded into the encoder when they are read.
    TopK { k: usize },
    /// `max(h, 0)` where `h > threshold`, by feature: `[d_sae]` (Rajamanoharan et al. 2024b).
    JumpRelu { threshold: Vec<f32> },
    /// `max(exp(r_mag) (h - b_enc) + b_mag, 0)` where `h > 0`; both `[d_sae]` (Rajamanoharan et al. 2024a).
    Gated { r_mag: Vec<f32>, b_mag: Vec<f32> },
    /// One feature after another: the one whose direction the rest is most along, added and taken from the rest, until
    /// the rest is shorter than `residual_threshold` (where that is above 0), there were `max_iterations`, or, if
    /// `stop_on_duplicate_support`, a step adds no new feature (Costa et al. 2025, "MP-SAE").
    MatchingPursuit { residual_threshold: f32, max_iterations: usize, stop_on_duplicate_support: bool },
}

/// What is done to an activation before it is encoded, and undone after it is decoded (but for a transcoder's output,
/// which is another activation).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalisation {
    #[default]
    None,
    /// Mean 0 and (unbiased) standard deviation 1, over the numbers of one activation.
    LayerNorm,
    /// Length `sqrt(d_in)`.
    ConstantNorm,
}

/// A transcoder's output.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcoder {
    /// Numbers in the activation that is written.
    pub d_out: usize,
    /// `[d_out, d_in]`: what is added of the activation that was read, as it was before normalisation.
    pub skip: Option<Vec<f32>>,
}

impl Sae {
    /// Numbers in a reconstruction.
    pub fn d_out(&self) -> usize {
        self.transcoder.as_ref().map_or(self.d_in, |transcoder| transcoder.d_out)
    }

    /// The direction that a feature writes, `[d_out]`.
    pub fn direction(&self, feature: usize) -> &[f32] {
        let d_out = self.d_out();
        &self.w_dec[feature * d_out..(feature + 1) * d_out]
    }

    /// The row that a feature reads by, `[d_in]`.
    pub fn encoder_row(&self, feature: usize) -> &[f32] {
        let rows =
            if matches!(self.activation, Activation::MatchingPursuit { .. }) { &self.w_dec } else { &self.w_enc };
        &rows[feature * self.d_in..(feature + 1) * self.d_in]
    }

    /// Checks that shapes and options fit together and that all numbers are finite: [`Sae::encode`] and
    /// [`Sae::decode`] rely on it.
    pub fn check(&self) -> Result<(), SaeError> {
        let (d_in, d_sae, d_out) = (self.d_in, self.d_sae, self.d_out());
        if d_in < 2 || d_sae == 0 || d_out == 0 || d_sae > u32::MAX as usize {
            return Err(SaeError::Empty { d_in, d_sae, d_out });
        }
        let tied = matches!(self.activation, Activation::MatchingPursuit { .. });
        // Saturated, a product that overflows fits no vector.
        let size = |rows: usize, cols: usize| rows.saturating_mul(cols);
        self.fits("W_enc", &self.w_enc, if tied { 0 } else { size(d_sae, d_in) })?;
        self.fits("b_enc", &self.b_enc, if tied { 0 } else { d_sae })?;
        self.fits("W_dec", &self.w_dec, size(d_sae, d_out))?;
        self.fits("b_dec", &self.b_dec, d_out)?;
        match &self.activation {
            Activation::Relu => {}
            Activation::TopK { k } if (1..=d_sae).contains(k) => {}
            Activation::TopK { k } => return Err(SaeError::K { k: *k, d_sae }),
            Activation::JumpRelu { threshold } => self.fits("threshold", threshold, d_sae)?,
            Activation::Gated { r_mag, b_mag } => {
                self.fits("r_mag", r_mag, d_sae)?;
                self.fits("b_mag", b_mag, d_sae)?;
            }
            Activation::MatchingPursuit { residual_threshold, max_iterations, stop_on_duplicate_support: _ } => {
                if !residual_threshold.is_finite() || !(1..=MOST_ITERATIONS).contains(max_iterations) {
                    return Err(SaeError::Pursuit { most: MOST_ITERATIONS });
                }
            }
        }
        match &self.transcoder {
            Some(_) if self.apply_b_dec_to_input || tied => Err(SaeError::Transcoder),
            Some(Transcoder { skip: Some(skip), .. }) => self.fits("W_skip", skip, size(d_out, d_in)),
            _ => Ok(()),
        }
    }

    fn fits(&self, name: &'static str, numbers: &[f32], expected: usize) -> Result<(), SaeError> {
        if numbers.len() != expected {
            return Err(SaeError::Shape { name, found: numbers.len(), expected, d_in: self.d_in, d_sae: self.d_sae });
        }
        match numbers.iter().all(|number| number.is_finite()) {
            true => Ok(()),
            false => Err(SaeError::NotFinite { name }),
        }
    }
}

/// Of matching pursuit: a file that names more would hold up whoever opens it.
pub const MOST_ITERATIONS: usize = 8192;
