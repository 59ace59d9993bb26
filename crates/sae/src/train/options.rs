//! What is trained, and how.

/// What keeps features sparse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// The `k` largest pre-activations of each activation (Gao et al. 2024).
    TopK { k: usize },
    /// The `k n` largest of a batch of `n` activations (Bussmann et al. 2024). Afterwards it is a JumpReLU, whose threshold
    /// is the mean over batches of the smallest that was let through: no activation's features depend on its neighbours.
    BatchTopK { k: usize },
    /// `sparsity` times the sum of the features beside the squared error (Bricken et al. 2023; directions have length 1).
    Standard { sparsity: f32 },
    /// `sparsity` times the number of features above their thresholds, which are learnt through a window of width
    /// `bandwidth` (Rajamanoharan et al. 2024b).
    JumpRelu { sparsity: f32, bandwidth: f32 },
    /// One feature after another, at most `k` times: the one whose direction the rest is most along, which is taken from the
    /// rest (Costa et al. 2025, "MP-SAE"). Features read along the directions that they write.
    MatchingPursuit { k: usize },
}

impl Method {
    /// Whether its steps are those that a [`Device`](super::Device) makes: a pursuit's go from feature to feature, and are
    /// made on the CPU.
    pub fn suits_devices(self) -> bool {
        !matches!(self, Method::MatchingPursuit { .. })
    }
}

/// What is done for features that are never active: those with the largest pre-activations among them reconstruct what
/// the others leave (AuxK, Gao et al. 2024, appendix A.2); of matching pursuit, those that the rest is most along. Without it, and for methods with a penalty, dead features are
/// made anew from the activations that are reconstructed worst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Auxiliary {
    /// Features that take part, of each activation; never more than are dead.
    pub k: usize,
    /// Of this loss beside the other.
    pub weight: f32,
}

/// How an autoencoder is trained. Activations are scaled so that their mean length is `sqrt(d_in)`, which is folded into
/// the weights at the end: rates and penalties mean the same for every model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainOptions {
    pub method: Method,
    /// Features.
    pub d_sae: usize,
    /// Activations in a batch.
    pub batch: usize,
    /// Batches.
    pub steps: usize,
    /// Adam's, at its highest.
    pub learning_rate: f32,
    /// Steps over which the learning rate rises from 0, and with it the penalty on features.
    pub warm_up: usize,
    /// Steps at the end over which the learning rate falls to 0.
    pub decay: usize,
    /// A feature that was not active for as many activations is dead.
    pub dead_after: u64,
    pub auxiliary: Option<Auxiliary>,
    pub seed: u64,
}

impl TrainOptions {
    /// What suits `steps` batches of `batch` activations.
    pub fn new(method: Method, d_sae: usize, batch: usize, steps: usize) -> TrainOptions {
        TrainOptions {
            method,
            d_sae,
            batch,
            steps,
            learning_rate: 1e-3,
            warm_up: (steps / 20).max(1),
            decay: steps / 5,
            dead_after: (steps as u64 * batch as u64 / 30).max(1),
            auxiliary: match method {
                Method::TopK { k } | Method::BatchTopK { k } | Method::MatchingPursuit { k } => {
                    Some(Auxiliary { k: 4 * k, weight: 1.0 / 32.0 })
                }
                Method::Standard { .. } | Method::JumpRelu { .. } => None,
            },
            seed: 1,
        }
    }

    pub(super) fn check(&self, d_in: usize) -> Result<(), TrainError> {
        let k = match self.method {
            Method::TopK { k } | Method::BatchTopK { k } | Method::MatchingPursuit { k } => Some(k),
            Method::Standard { .. } | Method::JumpRelu { .. } => None,
        };
        let positive = |x: f32| x.is_finite() && x > 0.0;
        let sane = match self.method {
            Method::Standard { sparsity } => sparsity.is_finite() && sparsity >= 0.0,
            Method::JumpRelu { sparsity, bandwidth } => sparsity.is_finite() && sparsity >= 0.0 && positive(bandwidth),
            Method::TopK { .. } | Method::BatchTopK { .. } | Method::MatchingPursuit { .. } => true,
        };
        if d_in < 2 || self.d_sae == 0 || self.batch == 0 || self.steps == 0 {
            return Err(TrainError::Nothing);
        }
        if self.d_sae > u32::MAX as usize || self.batch > u32::MAX as usize {
            return Err(TrainError::Options("as many features or activations cannot be counted"));
        }
        if k.is_some_and(|k| k == 0 || k > self.d_sae) {
            return Err(TrainError::Options("k has to be at least 1, and at most the number of features"));
        }
        if !sane || !positive(self.learning_rate) || self.auxiliary.is_some_and(|aux| !aux.weight.is_finite()) {
            return Err(TrainError::Options("rates have to be above 0, and penalties not below it"));
        }
        Ok(())
    }
}

/// Why nothing can be trained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrainError {
    #[error("there is nothing to train: give at least one feature, one step, one activation a batch, of two numbers")]
    Nothing,
    #[error("{0}: choose others")]
    Options(&'static str),
    #[error("{found} activations are fewer than a batch of {batch}: read more texts, or choose a smaller batch")]
    TooFew { found: usize, batch: usize },
    #[error("the activations are all alike, or not all of them are numbers: look at where they are from")]
    Degenerate,
    #[error("training diverged at step {step}: choose a lower learning rate")]
    Diverged { step: usize },
    /// Of the device that makes the steps, in words that say what to do.
    #[error("{0}")]
    Device(String),
}
