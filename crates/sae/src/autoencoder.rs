//! What a sparse autoencoder is, whatever file it came from.

/// A sparse autoencoder of activations of `d_in` numbers, with `d_sae` features.
///
/// `features = activation(W_enc (norm_in(x) - b_dec if apply_b_dec_to_input) + b_enc)`,
/// `reconstruction = norm_out(W_dec^T features + b_dec)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sae {
    /// Numbers in an activation.
    pub d_in: usize,
    /// Features.
    pub d_sae: usize,
    /// `[d_sae, d_in]`: a feature's row lies together (the transpose of what SAELens stores).
    pub w_enc: Vec<f32>,
    /// `[d_sae]`
    pub b_enc: Vec<f32>,
    /// `[d_sae, d_in]`: a feature's direction.
    pub w_dec: Vec<f32>,
    /// `[d_in]`
    pub b_dec: Vec<f32>,
    /// Whether the decoder's bias is subtracted before encoding.
    pub apply_b_dec_to_input: bool,
    pub activation: Activation,
    pub normalisation: Normalisation,
}

/// How pre-activations become features.
#[derive(Clone, Debug, PartialEq)]
pub enum Activation {
    /// `max(h, 0)`
    Relu,
    /// The `k` largest pre-activations, then `max(h, 0)`. Where `rescale_by_decoder_norm`, they are compared after they
    /// are multiplied by the length of their direction, and divided by it again when decoding.
    TopK { k: usize, rescale_by_decoder_norm: bool },
    /// `max(h, 0)` where `h > threshold`, by feature: `[d_sae]`.
    JumpRelu { threshold: Vec<f32> },
}

/// What is done to an activation before it is encoded, and undone after it is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalisation {
    #[default]
    None,
    /// Mean 0 and (unbiased) standard deviation 1, over the numbers of one activation.
    LayerNorm,
    /// Length `sqrt(d_in)`.
    ConstantNorm,
}
