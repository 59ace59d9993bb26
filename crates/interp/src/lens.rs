//! Lenses: what the residual stream would say, if the model ended there.

mod logit_lens;
mod rank;

pub use logit_lens::{LensCell, LensLayer, LensReading, logit_lens};
pub(crate) use rank::largest;
pub use rank::{RankedToken, TokenProbability};
