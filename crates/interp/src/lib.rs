//! The methods, one file each.
//!
//! A method takes an engine, examples and options, and returns a plain result. It runs on any backend, says how far it
//! is, and can be stopped. What claims an effect comes with its control: the same number for random directions of equal
//! norm, and the cost in perplexity on a neutral text ([`evidence`]).
//!
//! Everything here works on token ids and `f32` numbers. It knows no texts, recipes, pages or devices.

pub mod attention;
pub mod attribution;
pub mod clusters;
mod error;
pub mod evidence;
pub mod function_vector;
pub mod lens;
mod log_softmax;
pub mod neurons;
pub mod patch;
mod positive_definite;
pub mod probe;
mod products;
pub mod sae;
mod shuffle;
pub mod snmf;
pub mod steer;
mod tally;
mod toward;
pub mod tune;
mod typical_norm;

pub use error::InterpError;

pub use shuffle::shuffled;
pub use typical_norm::typical_norms;
