//! One forward pass over two backends.
//!
//! [`forward`] is written once, against [`backend::Pass`]. On the CPU each operation computes at once, with candle; on
//! the GPU it records a dispatch into a plan that is then replayed for every token. [`Engine`] owns the weights, the
//! KV cache and the plans, and offers two things: [`Engine::generate`] writes tokens on several lanes side by side, and
//! [`Engine::harvest`] runs many prompts in one batch and hands out the activations at chosen sites.
//!
//! The engine knows activations (sites, taps, edits). It knows no method that is built on them, and no page.

pub mod backend;
mod capture;
mod cpu;
mod edit;
mod engine;
mod error;
mod feature_harvest;
mod features;
mod forward;
mod generate;
mod gpu;
mod harvest;
mod parallel;
mod pass_shape;
mod readings;
mod readout;
mod train_sae;
mod unembed;
mod unembed_gradient;
mod value_vectors;
mod variants;
mod weights;

pub use capture::{RowProducts, RunCache};
pub use cpu::{SharedMemory, Team, work_as_lane};
pub use edit::{CachedRows, Condition, Edit, Operation, Part, PatchRows, Test};
pub use engine::{BackendKind, Engine, StepCost};
pub use error::EngineError;
pub use feature_harvest::{FeatureHarvest, FeaturesRead};
pub use features::{Dictionary, EncoderWeights, FeatureChange, FeatureReading, MOST_FEATURES, MOST_STRONGEST};
pub use generate::{DECODE_ROWS, Generation, Lane, LaneEnd, LaneResult, Timing, Written};
pub use harvest::{Harvest, Reading};
pub use readings::MOST_STEPS_A_READING;
pub use readout::Readout;
pub use tiller_kernels::{AdapterSummary, Draw, Drawn, Gpu, GpuError, TapRows, Tiers, Workload};
pub use tiller_model::NormKind;
pub use tiller_sites::{PatchDirection, PatchPlace, Positions, Sampling, Site, UnknownSite};
pub use train_sae::SaeTraining;
pub use variants::{Logits, Variant, Variants};

/// How work that takes long is watched and stopped from outside.
///
/// The engine calls [`Controls::pause`] between steps: in a browser's worker that is where messages arrive.
#[allow(async_fn_in_trait)]
pub trait Controls {
    /// Whether the work is to end now.
    fn cancelled(&self) -> bool {
        false
    }

    /// The strength of an edit for the steps that follow, in its operation's own terms (a coefficient, a factor); `given`
    /// is what the edit says itself.
    fn coefficient(&self, edit: usize, given: f32) -> f32 {
        let _ = edit;
        given
    }

    /// Lets others run.
    async fn pause(&self) {}
}

/// Nobody watches.
impl Controls for () {}
