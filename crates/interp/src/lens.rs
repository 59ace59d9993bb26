//! Lenses: what the residual stream would say, if the model ended there.

mod logit_lens;
mod rank;
mod translators;
mod tuned;

pub use logit_lens::{LensCell, LensLayer, LensReading, logit_lens};
pub(crate) use rank::largest;
pub use rank::{RankedToken, TokenProbability};
pub use translators::{Translator, TunedLens};
pub use tuned::{
    LensData, LensGradient, TuneOptions, Tuned, TunedLayer, fit as fit_lens, judge as judge_lens, lens_gradients,
    tune_lens,
};
